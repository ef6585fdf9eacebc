"""What the sandbox's tests share."""

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import boto3
import httpx
import psutil
from botocore.config import Config

from hokusai_sandbox.asking import ask
from hokusai_sandbox.plan import CLUSTER, DATABASE_SECRET
from hokusai_sandbox.stack import Stack
from hokusai_validation.resources.secrets import secret
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Aws, Target, read_target

Value = TypeVar("Value")


def eventually(look: Callable[[], Value], *, limit_s: float = 15.0, what: str = "it") -> Value:
    """The first value that is true. Fails the test when the limit is over."""
    deadline = time.monotonic() + limit_s
    while not (value := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not become true within {limit_s:g} s (last: {value!r})")
        time.sleep(0.02)
    return value


class Sandbox:
    """A stack with what a test asks of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.target: Target = read_target(str(stack.target_file))
        self.status: dict[str, Any] = stack.status()

    def control(self, method: str, path: str, value: object = None) -> Any:
        """One call of the control agent."""
        return ask(self.stack.directory, self.status["supervisor"]["address"], method, path, value)

    def process(self, name: str) -> dict[str, Any]:
        """One process as the control agent describes it."""
        found: dict[str, Any] = self.control("GET", f"/processes/{name}")
        return found

    def until_back(self, name: str, old_pid: int) -> dict[str, Any]:
        """The process once it serves again under another pid."""

        def look() -> dict[str, Any] | None:
            found = self.process(name)
            return found if found["ready"] and found["pid"] != old_pid else None

        return eventually(look, what=f"{name} started again", limit_s=30) or {}

    def secret(self, ref: SecretRef | None) -> str:
        """A secret's value."""
        assert ref is not None
        return secret(ref, self.target).get_secret_value()

    def client(self, host: str = "registry.hokusai.test", *, key: bool = False) -> httpx.Client:
        """A client of the balancer by a public name."""
        context = ssl.create_default_context(cafile=str(self.target.tls.ca_file))
        headers = {"host": host}
        if key:
            headers["authorization"] = f"Bearer {self.secret(self.target.keys.good)}"
        return httpx.Client(base_url=self.status["url"], verify=context, headers=headers, trust_env=False)

    def health(self) -> Mapping[str, Any]:
        """`/health` through the balancer."""
        with self.client() as client:
            answer: Mapping[str, Any] = client.get("/health").json()
            return answer

    def health_of(self, url: str) -> Mapping[str, Any]:
        """`/health` of one instance."""
        answer: Mapping[str, Any] = httpx.get(f"{url}/health", trust_env=False, timeout=5).json()
        return answer

    def until_healthy(self) -> None:
        """The stack as a whole is healthy again: through the balancer, and each instance by itself."""

        def look() -> bool:
            try:
                answers = [self.health(), *(self.health_of(item.url) for item in self.target.instances)]
            except (httpx.HTTPError, ValueError):
                return False
            return all(answer.get("status") == "healthy" for answer in answers)

        eventually(look, what="/health says healthy", limit_s=60)


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def running_below(pid: int, word: str) -> list[psutil.Process]:
    """The processes below one that have a word on their command line; those that end meanwhile are
    passed by."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if word in child.cmdline():
                found.append(child)
    return found


def kill_below(pid: int, word: str) -> None:
    """SIGKILL for all of them."""
    for child in running_below(pid, word):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def all_gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them lives any more."""
    return not [item for item in processes if _lives(item)]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def leftovers(run_folder: str) -> list[Path]:
    """What is still there of a run's files."""
    return [path for path in [Path(run_folder)] if path.exists()]


class Cloud:
    """boto3 clients of the sandbox's AWS, each made once."""

    def __init__(self, up: Sandbox) -> None:
        assert up.target.aws is not None
        self.up = up
        self.names: Aws = up.target.aws
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                region_name=self.names.region,
                endpoint_url=self.names.endpoint_url,
                aws_access_key_id=self.up.secret(self.names.access_key),
                aws_secret_access_key=self.up.secret(self.names.secret_key),
                config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}),
            )
        return self._clients[service]

    @contextlib.contextmanager
    def state(self, name: str, /, **values: object) -> Iterator[None]:
        """A state that is on in the block."""
        self.up.control("POST", f"/aws/{name}", values)
        try:
            yield
        finally:
            self.up.control("DELETE", f"/aws/{name}")

    def service(self, component: str) -> Any:
        found = self.ecs.describe_services(cluster=CLUSTER, services=[self.names.services[component].service])
        return found["services"][0]

    def tasks(self, component: str, status: str = "RUNNING") -> list[Any]:
        arns = self.ecs.list_tasks(
            cluster=CLUSTER, serviceName=self.names.services[component].service, desiredStatus=status
        )["taskArns"]
        return list(self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]) if arns else []

    def health(self, component: str) -> list[str]:
        name = self.names.services[component].target_group
        group = self.elbv2.describe_target_groups(Names=[name])["TargetGroups"][0]
        found = self.elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
        return [item["TargetHealth"]["State"] for item in found["TargetHealthDescriptions"]]

    def secret(self) -> Any:
        return self.secretsmanager.describe_secret(SecretId=DATABASE_SECRET)
