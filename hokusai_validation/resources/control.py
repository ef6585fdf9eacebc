"""The control agent of a target: it kills, pauses, restarts and limits the stack's processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from pydantic import JsonValue, SecretStr, TypeAdapter

from hokusai_validation.errors import AgentFailed, TargetInvalid
from hokusai_validation.resources.agent import TIMEOUT_S, Agent, part
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target


@dataclass(frozen=True)
class ProcessState:
    """One process of the stack. `state` is `running`, `paused` or `down`; `address` is `host:port`
    where it has one."""

    name: str
    component: str
    pid: int | None
    state: str
    address: str | None = None
    started_at: float | str | None = None
    restarts: int = 0
    rss_bytes: int = 0
    cpu_s: float = 0.0
    ready: bool | None = None  # None where the agent doesn't say


class ControlClient:
    """Processes by the names of the topology (`api-1`, `mlflow`), which the target file maps to the
    agent's. Faults name a lease; the agent undoes them when it ends. Every method raises AgentFailed."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        processes: Mapping[str, str] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.names: Mapping[str, str] = dict(processes or {})
        self._agent = Agent("The control agent", HttpClient(url, key=token, timeout_s=timeout_s))

    @classmethod
    def from_target(cls, target: Target, secrets: Secrets) -> Self:
        """As `[control]` of the target file says.

        Raises TargetInvalid without that section, SecretMissing."""
        if target.control is None:
            raise TargetInvalid(
                f"Target '{target.name}' has no [control] section; add one to put faults on processes."
            )
        return cls(target.control.url, secrets.value(target.control.token), target.control.processes)

    @property
    def url(self) -> str:
        """Where the agent is."""
        return self._agent.url

    def close(self) -> None:
        """Close the kept connections."""
        self._agent.close()

    def process_name(self, name: str) -> str:
        """The agent's name of an instance's or component's process."""
        return self.names.get(name, name)

    def processes(self) -> tuple[ProcessState, ...]:
        """Every process of the stack."""
        return self._agent.read("/processes", _PROCESSES)

    def process(self, name: str) -> ProcessState:
        """One process."""
        wanted = self.process_name(name)
        found = {each.name: each for each in self.processes()}
        if wanted not in found:
            raise AgentFailed(
                f"The control agent at {self.url} knows no process '{wanted}'; it has {', '.join(found)}."
            )
        return found[wanted]

    def kill(self, name: str, *, down_s: float | None = None) -> None:
        """SIGKILL; the supervisor starts it again, after `down_s`."""
        self._do(name, "kill", {} if down_s is None else {"down_s": down_s})

    def pause(self, name: str, *, lease: str | None = None) -> None:
        """SIGSTOP, until `resume` or the end of the lease, where there is one."""
        self._do(name, "pause", _under(lease))

    def resume(self, name: str) -> None:
        """SIGCONT. May be repeated."""
        self._do(name, "resume", {})

    def restart(self, name: str) -> None:
        """End it in good order and start it again."""
        self._do(name, "restart", {})

    def limit_memory(self, name: str, margin_bytes: int, *, lease: str) -> None:
        """Limit its memory to what it uses plus a margin."""
        self._do(name, "memory", {"margin_bytes": margin_bytes, "lease": lease})

    def free_memory(self, name: str) -> None:
        """Lift the limit. May be repeated."""
        self._do(name, "memory", {"limit_bytes": None})

    def stress_memory(self, name: str, size_bytes: int, *, lease: str | None = None) -> None:
        """A process beside it that holds that much memory; 0 ends it."""
        self._do(name, "stress_memory", {"bytes": size_bytes, **_under(lease)})

    def burn(self, name: str, share: float, *, lease: str | None = None) -> None:
        """Processes beside it that use that share (0–1) of the CPUs; 0 ends them."""
        self._do(name, "cpu", {"share": share, **_under(lease)})

    def hold(self, lease: str, seconds: float) -> None:
        """Make or renew a lease."""
        self._agent.call("POST", "/leases", {"id": lease, "seconds": seconds})

    def release(self, lease: str) -> None:
        """End a lease: what is under it is undone. May be repeated."""
        self._agent.call("DELETE", f"/leases/{part(lease)}", accept=(404,))

    def holds_any(self) -> bool:
        """Whether the agent holds any lease."""
        return bool(self._agent.read("/leases", _LEASES))

    def reset(self) -> None:
        """Undo every fault on every process. May be repeated."""
        self._agent.call("POST", "/reset")

    def _do(self, name: str, act: str, body: Mapping[str, JsonValue]) -> None:
        self._agent.call("POST", f"/processes/{part(self.process_name(name))}/{act}", body)


def _under(lease: str | None) -> dict[str, str]:
    return {} if lease is None else {"lease": lease}


_PROCESSES = TypeAdapter(tuple[ProcessState, ...])
_LEASES = TypeAdapter(dict[str, JsonValue] | list[JsonValue])
