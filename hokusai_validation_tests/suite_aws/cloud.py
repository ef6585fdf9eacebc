"""AWS for the tests of the AWS checks: the sandbox's own stand-in as a process beside us, its
states set over its interface, and what a check is given to judge it."""

import ipaddress
import json
import secrets as tokens
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from hokusai_sandbox import certificates
from hokusai_sandbox.aws.settings import AwsSettings, Placed
from hokusai_sandbox.environment import base_environment
from hokusai_sandbox.plan import DATABASE_USER, EDGES, GIT_COMMIT, INSTANCES, PORT_NAMES, Plan
from hokusai_sandbox.plan import Secrets as SandboxSecrets
from hokusai_sandbox.ports import Reservations
from hokusai_sandbox.scenarios import Scenario
from hokusai_sandbox.services import declared_environment
from hokusai_sandbox.target_file import write_secrets, write_target
from hokusai_validation.descent import die_with_parent
from hokusai_validation.errors import NameNotResolved
from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.http import Answer
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target, read_target
from hokusai_validation_tests import judging
from hokusai_validation_tests.judging import Judgement

READY_LIMIT_S = 60.0


@dataclass
class Cloud:
    """A stand-in for AWS that is up, and the target that stands in it."""

    plan: Plan
    target: Target
    secrets: Secrets
    _calls: AwsCalls | None = field(default=None, repr=False)

    @contextmanager
    def state(self, name: str, /, **values: object) -> Iterator[None]:
        """A state of AWS that is on in the block."""
        self.tell("POST", f"states/{name}", values)
        try:
            yield
        finally:
            self.tell("DELETE", f"states/{name}")

    def tell(self, method: str, path: str, value: object = None) -> Any:
        """The sandbox's interface beside AWS's."""
        body = None if value is None else json.dumps(value).encode()
        request = Request(
            f"{self.plan.url('aws')}/_sandbox/{path}",
            data=body,
            method=method,
            headers={"Authorization": f"Bearer {self.plan.secrets.control_token}"},
        )
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def aws(self, target: Target | None = None, **options: Any) -> Aws:
        """A connection; the same calls for every target, since making clients takes long."""
        wanted = (target or self.target).aws
        assert wanted is not None
        if options:
            return Aws.from_target(target or self.target, self.secrets, **options)
        if self._calls is None:
            self._calls = Aws.from_target(self.target, self.secrets).calls
        return Aws(self._calls, wanted.cluster)

    def client(self, service: str) -> Any:
        """boto3 itself, to write what no state covers."""
        return self.aws().calls.client(service)

    def changed(self, **aws: object) -> Target:
        """The target with other names in AWS."""
        assert self.target.aws is not None
        return self.target.model_copy(update={"aws": self.target.aws.model_copy(update=aws)})


class CloudNames(Resolver):
    """Answers what the sandbox's name server would: what is registered, nothing else; an address is none of
    its business."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__()
        self._cloud = cloud

    def addresses(self, name: str, record: str = "A") -> tuple[str, ...]:
        with suppress(ValueError):
            return (str(ipaddress.ip_address(name)),)
        found = self._cloud.tell("GET", "names").get(name)
        if not found:
            raise NameNotResolved(f"Name {name} does not exist (asked the stand-in).")
        return tuple(found)


class FixedApi:
    """An API that answers `/version` with this commit."""

    def __init__(self, commit: str = GIT_COMMIT) -> None:
        self.commit = commit

    def get(self, path: str, **_: object) -> Answer:
        body = json.dumps({"version": "1", "git_commit": self.commit}).encode()
        return Answer("GET", f"http://api{path}", 200, {}, body, 1.0)


def judge(
    check: Callable[..., None], cloud: Cloud, target: Target | None = None, **given: object
) -> Judgement:
    """Run one test of the suite against the stand-in."""
    wanted = target or cloud.target
    fixtures: dict[str, object] = {
        "target": wanted,
        "secrets": cloud.secrets,
        "resolver": CloudNames(cloud),
        "registry": FixedApi(),
        "aws": cloud.aws(wanted),
    }
    return judging.judge(check, **(fixtures | given))


@contextmanager
def running(folder: Path) -> Iterator[Cloud]:
    """The stand-in with the resources of the contract, in the block."""
    with Reservations((*PORT_NAMES, *EDGES)) as reserved:
        plan = Plan(
            directory=folder,
            run_folder=folder,
            ports={name: reserved.ports[name] for name in PORT_NAMES},
            edges={edge: reserved.ports[edge] for edge in EDGES},
            secrets=SandboxSecrets(),
        )
        made = certificates.make()
        settings = AwsSettings(
            port=plan.ports["aws"],
            token=plan.secrets.control_token,
            access_key=plan.secrets.aws_access_key,
            secret_key=plan.secrets.aws_secret_key,
            tasks=_tasks(plan),
            environment=declared_environment(),
            secret={"username": DATABASE_USER, "password": tokens.token_hex(8)},
            database_address="127.0.0.1",
            database_port=plan.ports["postgres"],
            redis_port=plan.ports["redis"],
            certificate=made.certificate,
            certificate_key=made.key,
            commit=GIT_COMMIT,
            started_at=time.time(),
        )
        (folder / "ca.pem").write_text(made.authority)
        write_secrets(plan)
        target = read_target(str(write_target(plan, Scenario(name="healthy"))))
        cloud = Cloud(plan, target, Secrets(target))
        log = (folder / "aws.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "hokusai_sandbox.aws"],
            env=base_environment(folder) | settings.to_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            preexec_fn=die_with_parent,
        )
        try:
            _await(cloud, process, folder / "aws.log")
            yield cloud
        finally:
            process.kill()
            process.wait(10)
            log.close()


def _tasks(plan: Plan) -> Mapping[str, tuple[Placed, ...]]:
    return {
        "api": tuple(
            Placed(name, f"127.0.1.{number}", plan.edges[f"load_balancer->{name}"])
            for number, name in enumerate(INSTANCES, 1)
        ),
        "auth": (Placed("auth", "127.0.0.1", plan.edges["load_balancer->auth"]),),
        "mlflow": (Placed("mlflow", "127.0.0.1", plan.ports["mlflow"]),),
    }


def _await(cloud: Cloud, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            cloud.tell("GET", "ready")
        except OSError:
            time.sleep(0.05)
            continue
        return
    raise AssertionError(f"The stand-in for AWS did not start: {log.read_text()[-2000:]}")
