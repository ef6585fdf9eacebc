"""The ten kinds of earlier failure, each brought about, each told from all others by what is seen.

The sixth (a health endpoint that waits for a dead dependency) shows in two places: the blocked
process itself is caught by `test_timeout_handling`; here its effect, a good task taken out.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hokusai_validation.facts import FactKind as Kind
from hokusai_validation.suite.test_communication import TestCommunication as Communication
from hokusai_validation.suite.test_environment import TestTls as Tls
from hokusai_validation.suite.test_infrastructure import TestThreeViews as ThreeViews
from hokusai_validation.topology import Role
from hokusai_validation_tests.judging import Judgement
from hokusai_validation_tests.suite_aws.cloud import Cloud, judge
from hokusai_validation_tests.suite_aws.test_checks_turn_red import CHECKS
from hokusai_validation_tests.suite_beyond.stub import GOOD_KEY, Reply, Stub, serving
from hokusai_validation_tests.suite_beyond.test_http_checks_turn_red import CHECKS as HTTP_CHECKS
from hokusai_validation_tests.suite_beyond.test_http_checks_turn_red import DIAGNOSIS, checks, health, run


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A healthy service over HTTP."""
    monkeypatch.setenv("STUB_GOOD_KEY", GOOD_KEY)
    with serving() as made:
        yield made


def in_aws(check: str, state: str, **values: object) -> Callable[[Cloud, Stub], Judgement]:
    def see(cloud: Cloud, _: Stub) -> Judgement:
        with cloud.state(state, **values):
            return judge(CHECKS[check], cloud)

    return see


def over_http(check: str, **replies: Reply) -> Callable[[Cloud, Stub], Judgement]:
    def see(_: Cloud, stub: Stub) -> Judgement:
        stub.replies |= {
            {"root": "/", "validate": "/api/v1/keys/validate"}[name]: each for name, each in replies.items()
        }
        return run(HTTP_CHECKS[check], stub)

    return see


def on_edge(message: str) -> Callable[[Cloud, Stub], Judgement]:
    def see(_: Cloud, stub: Stub) -> Judgement:
        stub.replies[DIAGNOSIS] = checks("connectivity", message)
        return run(Communication().test_edge, stub, edge=(Role.API_GATEWAY, Role.TRACKING_SERVER))

    return see


def redis_missing(_: Cloud, stub: Stub) -> Judgement:
    stub.replies["/health"] = health(redis="unhealthy")
    return run(ThreeViews().test_optional_redis_is_no_failure, stub)


def redirected(_: Cloud, stub: Stub) -> Judgement:
    with ExitStack() as stack:
        plain = stack.enter_context(serving())
        plain.replies["/version"] = Reply(301, headers={"location": "https://elsewhere.test/version"})
        target = stub.target(endpoints={"registry": stub.url.replace("http:", "https:"), "plain": plain.url})
        return run(Tls().test_http_redirects_to_https, stub, target)


KINDS: dict[str, tuple[Callable[[Cloud, Stub], Judgement], set[tuple[Kind, str]]]] = {
    "1 wrong database user": (
        in_aws(
            "database user", "environment_differs", component="api", name="DATABASE_USER", value="postgres"
        ),
        {(Kind.WRONG_DATABASE_USER, "postgres")},
    ),
    "2 secret newer than the tasks": (
        in_aws("secret age", "secret_changed"),
        {(Kind.SECRET_NEWER_THAN_TASKS, "api"), (Kind.SECRET_NEWER_THAN_TASKS, "mlflow")},
    ),
    "3 old task definition": (
        in_aws("newest definition", "task_definition_old", component="api"),
        {(Kind.TASK_DEFINITION_OLD, "api")},
    ),
    "4 name without address": (
        in_aws("names registered", "name_missing", component="mlflow"),
        {(Kind.NAME_NOT_RESOLVED, "mlflow")},
    ),
    "4 name of a task that is gone": (
        in_aws("names lead", "name_stale", component="mlflow"),
        {(Kind.NAME_STALE, "mlflow")},
    ),
    "5 wrong target group": (
        in_aws("routes", "wrong_listener_rule", path="/api/mlflow/*", component="mlflow"),
        {(Kind.WRONG_TARGET_GROUP, "load_balancer")},
    ),
    "6 good task taken out": (
        in_aws("target health", "target_unhealthy", component="api"),
        {(Kind.TARGET_UNHEALTHY, "api")},
    ),
    "7 closed security group": (on_edge("ConnectTimeout"), {(Kind.CONNECT_TIMED_OUT, "mlflow")}),
    "7 not so: dead process": (on_edge("connection refused"), {(Kind.REFUSED, "mlflow")}),
    "8 key asked in another form": (
        over_http("key", root=Reply(401), validate=Reply(200)),
        {(Kind.KEY_FORM_REFUSED, "api")},
    ),
    "9 optional redis taken for a failure": (redis_missing, {(Kind.OPTIONAL_REQUIRED, "redis")}),
    "10 redirect drops the header": (redirected, {(Kind.REDIRECT_DROPS_AUTH, "load_balancer")}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_seen_for_what_it_is(cloud: Cloud, stub: Stub, kind: str) -> None:
    see, facts = KINDS[kind]
    assert see(cloud, stub).seen == facts


def test_no_two_look_alike() -> None:
    seen = [frozenset(facts) for _, facts in KINDS.values()]
    assert len(set(seen)) == len(seen)
