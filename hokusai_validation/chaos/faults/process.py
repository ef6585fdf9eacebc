"""What every fault on a process shares: the control agent, and how it shows the process."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from hokusai_validation.chaos.faults.base import Fault, Reach
from hokusai_validation.resources.control import ProcessState

POLL_S = 0.02


@dataclass(frozen=True)
class ProcessFault(Fault):
    """A fault on one process, by its name in the topology (`api-1`, `mlflow`)."""

    name: str

    leased_by: ClassVar[str] = "control"

    @property
    def touches(self) -> tuple[str, ...]:
        return (f"process {self.name}",)

    @property
    def component(self) -> str:
        return self.name

    def check(self, reach: Reach) -> None:
        self.process(reach)

    def process(self, reach: Reach) -> ProcessState:
        """The process as the agent shows it now."""
        return reach.control.process(self.name)

    def until(
        self, reach: Reach, holds: Callable[[ProcessState], bool], limit_s: float
    ) -> tuple[bool, ProcessState]:
        """Wait until the process is as wanted; whether it is, and how it was at last."""
        deadline = time.monotonic() + limit_s
        while True:
            state = self.process(reach)
            if holds(state):
                return True, state
            if time.monotonic() > deadline:
                return False, state
            time.sleep(POLL_S)

    def act_by_hand(self, reach: Reach, act: str, body: str = "{}") -> str:
        """The command for one act of the agent; its token stays in the environment."""
        name = reach.control.process_name(self.name)
        return (
            f'curl -fsS -X POST -H "Authorization: Bearer ${_token(reach)}" -H "Content-Type: application/json"'
            f" {reach.control.url}/processes/{name}/{act} -d '{body}'"
        )


def _token(reach: Reach) -> str:
    """The environment variable with the agent's token."""
    control = reach.target.control
    return control.token.env if control is not None and control.token.env else "CONTROL_TOKEN"


def address_of(state: ProcessState) -> tuple[str, int] | None:
    """A process's own address, where it has one."""
    if not state.address:
        return None
    host, _, port = state.address.rpartition(":")
    return (host, int(port)) if port.isdigit() else None
