"""What tests are given: the target, its secrets, and connections made of it, each when first used."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from hokusai_validation.catalogue import needs
from hokusai_validation.diagnosis.left_behind import KILLED_RUN, LEFT_BEHIND
from hokusai_validation.errors import HokusaiError, NotConfigured, NotJudged, SecretMissing
from hokusai_validation.permission import Gate
from hokusai_validation.probes import baseline
from hokusai_validation.probes.clean_up import Left, clear
from hokusai_validation.probes.component_logs import ComponentLogs
from hokusai_validation.probes.contract.check import PROBES
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.probes.ownership import left_over, noted_in
from hokusai_validation.resources import recording
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import now
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.runner.plugin import EVIDENCE, WATCH
from hokusai_validation.runner.selection import entry_of
from hokusai_validation.runner.state import STATE
from hokusai_validation.runner.timelimit import not_counted
from hokusai_validation.runner.watch import Watch
from hokusai_validation.store.book import Abandoned
from hokusai_validation.target import Target

if TYPE_CHECKING:
    from hokusai_validation.chaos.injection import Injector
    from hokusai_validation.probes.states import Scene
    from hokusai_validation.resources.aws.client import Aws
    from hokusai_validation.resources.control import ControlClient
    from hokusai_validation.resources.database import Database
    from hokusai_validation.resources.links import LinkClient
    from hokusai_validation.resources.mlflow import Mlflow
    from hokusai_validation.resources.redis import Redis


def pytest_sessionstart(session: pytest.Session) -> None:
    """What earlier phases know is known here."""
    state = session.config.stash.get(STATE, None)
    if state is not None:
        baseline.begin_with(state.settings.known.unhealthy)


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Target:
    """What is validated."""
    return pytestconfig.stash[STATE].settings.target


@pytest.fixture(scope="session")
def gate(pytestconfig: pytest.Config) -> Gate:
    """What this run may do to the target."""
    return pytestconfig.stash[STATE].settings.gate


@pytest.fixture(scope="session")
def secrets(pytestconfig: pytest.Config) -> Secrets:
    """The target's secrets; what is looked up here is masked in every row."""
    return pytestconfig.stash[STATE].secrets


@pytest.fixture(scope="session", autouse=True)
def nothing_left(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a killed run left is put right before the first test, and everything of ours is removed behind
    the last one; what was found, and what stays, stands in the evidence of these tests."""
    state = pytestconfig.stash[STATE]
    given, book = state.settings.target, state.book
    found = book.take_over()
    if found:
        with not_counted():
            settled = _settled(found, given, request)
        state.evidence.record(
            KILLED_RUN, {"names": list(found.names), "tests": list(found.tests), "settled": settled}
        )
    with noted_in(book):
        yield
    left: tuple[Left, ...] = ()
    # Where nothing is written to, nobody looks for what others left: that may take a while.
    if book.is_own:
        began, names = now(), book.names
        with not_counted(), recording.recording(Recorder(state.places, watches=True)):
            left = clear(
                given, state.secrets, lambda name: name.startswith(names) or left_over(name, began), names
            )
        if left:
            state.evidence.record(LEFT_BEHIND, [each.as_json() for each in left])
        else:
            book.all_gone()


def _settled(found: Abandoned, target: Target, request: pytest.FixtureRequest) -> bool:
    if not found.tests or not target.instances:
        return True
    from hokusai_validation.probes.aftermath import settle

    try:
        return settle(request.getfixturevalue("instances"), target)
    except (HokusaiError, OSError):  # no key, no certificates: whoever needs them says it
        return False


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """Where this test puts what it saw."""
    made: Evidence = request.node.stash[EVIDENCE]
    return made


@pytest.fixture
def watch(pytestconfig: pytest.Config) -> Watch:
    """What looked at the parts since the phase's first test."""
    return pytestconfig.stash[WATCH]


@pytest.fixture(scope="session")
def component_logs(target: Target, secrets: Secrets) -> ComponentLogs:
    """The log groups of the target's components."""
    return ComponentLogs(target, secrets)


@pytest.fixture(autouse=True)
def logs_of_failures(component_logs: ComponentLogs) -> Iterator[None]:
    """What the components wrote of errors whose answers say nothing, while it is new."""
    yield
    recorder = recording.current()
    if recorder is not None:
        component_logs.explain(recorder.so_far())


@pytest.fixture(scope="session")
def resolver(target: Target) -> Resolver:
    """Names as the target's own resolver answers them."""
    return Resolver(target.dns.resolver)


@pytest.fixture(scope="session")
def registry(target: Target, secrets: Secrets, resolver: Resolver) -> Iterator[HttpClient]:
    """The API through the load balancer; `key=True` on a call sends the good key."""
    if target.url is None:
        raise NotConfigured("no gateway endpoint configured")
    with _client(target.url, target, secrets, resolver) as client:
        yield client


@pytest.fixture(scope="session")
def instances(target: Target, secrets: Secrets, resolver: Resolver) -> Iterator[tuple[ApiInstance, ...]]:
    """Every API instance of the target."""
    if not target.instances:
        raise NotConfigured("no instances configured")
    made = tuple(
        ApiInstance(
            name=each.name,
            client=_client(each.url, target, secrets, resolver),
            failpoints=None
            if each.failpoints is None
            else HttpClient(each.failpoints, tls=target.tls, resolver=resolver),
        )
        for each in target.instances
    )
    yield made
    for instance in made:
        instance.client.close()
        if instance.failpoints is not None:
            instance.failpoints.close()


@pytest.fixture(scope="session")
def instance(instances: tuple[ApiInstance, ...]) -> ApiInstance:
    """The first instance: where a state of one breaker is needed, it is asked of this one."""
    return instances[0]


@pytest.fixture(scope="session")
def links(target: Target) -> "LinkClient":
    """The server of the links that faults are put on."""
    from hokusai_validation.resources.links import LinkClient

    if target.links is None:
        raise NotConfigured("no links configured")
    return LinkClient.from_target(target)


@pytest.fixture(scope="session")
def control(target: Target, secrets: Secrets) -> "ControlClient":
    """The agent that kills, pauses and limits the stack's processes."""
    from hokusai_validation.resources.control import ControlClient

    if target.control is None:
        raise NotConfigured("no control agent configured")
    return ControlClient.from_target(target, secrets)


@pytest.fixture
def injector(target: Target, gate: Gate, secrets: Secrets, evidence: Evidence) -> Iterator["Injector"]:
    """Puts faults on, each under a lease, and takes every one off again at the end of the test."""
    from hokusai_validation.chaos.injection import Injector

    with Injector.from_target(target, secrets, recorder=evidence, gate=gate) as made:
        yield made


@pytest.fixture
def relied_on(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The parts whose healthy state the test relies on, as the catalogue says."""
    entry = entry_of(request.node)
    return () if entry is None else needs.relied_on(entry)


@pytest.fixture
def steady_instance(
    instance: ApiInstance,
    target: Target,
    evidence: Evidence,
    relied_on: tuple[str, ...],
    request: pytest.FixtureRequest,
) -> Iterator["Scene"]:
    """The first instance, its breaker CLOSED before and behind the test. Older than the injector,
    so that what was changed is checked when the faults are off again."""
    from hokusai_validation.probes.baseline import in_steady_state

    links = request.getfixturevalue("links") if target.links is not None else None
    with in_steady_state(instance, links, target, evidence, relied_on) as scene:
        yield scene


@pytest.fixture
def scene(steady_instance: "Scene", injector: "Injector") -> "Scene":
    """The first instance, brought into states by cut links and real calls."""
    return steady_instance.with_injector(injector)


@pytest.fixture(scope="session")
def aws(target: Target, secrets: Secrets) -> "Aws":
    """AWS as the target names it."""
    from hokusai_validation.resources.aws.client import Aws

    return Aws.from_target(target, secrets)


@pytest.fixture(scope="session")
def database(target: Target, secrets: Secrets) -> "Database":
    """PostgreSQL, as MLflow's user."""
    from hokusai_validation.resources.database import Database

    return Database.from_target(target, secrets)


@pytest.fixture(scope="session")
def mlflow(target: Target, secrets: Secrets) -> "Mlflow":
    """MLflow, directly and through the gateway."""
    from hokusai_validation.resources.mlflow import Mlflow

    return Mlflow.from_target(target, secrets)


@pytest.fixture(scope="session")
def redis(target: Target, secrets: Secrets) -> "Redis":
    """Redis by its own address."""
    from hokusai_validation.resources.redis import Redis

    return Redis.from_target(target, secrets)


def _client(url: str, target: Target, secrets: Secrets, resolver: Resolver) -> HttpClient:
    try:
        key = None if target.keys.good is None else secrets.value(target.keys.good)
    except SecretMissing as error:
        raise NotJudged(str(error)) from None
    return HttpClient(
        url,
        tls=target.tls,
        resolver=resolver,
        key=key,
        timeout_s=target.limits.request_s,
        open_paths=PROBES,
    )
