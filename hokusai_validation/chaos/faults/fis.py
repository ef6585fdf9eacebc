"""An experiment of AWS FIS, by its template's id: the account's own stop conditions apply."""

import time
from dataclasses import dataclass

from hokusai_validation.chaos.faults.base import Fault, Reach
from hokusai_validation.errors import AgentFailed, AwsError, FaultNotApplied, NotPermitted
from hokusai_validation.target import FaultKind

RUNNING = ("running", "completed")
ENDED = ("completed", "stopped", "failed", "cancelled")
POLL_S = 1.0


@dataclass(frozen=True)
class Fis(Fault):
    """The experiment of a template that the target permits by id; stopped when it is undone."""

    template: str
    name: str
    limit_s: float = 60.0
    kind = FaultKind.FIS
    needs_watchdog = True

    @property
    def touches(self) -> tuple[str, ...]:
        return (f"what FIS template {self.template} names",)

    @property
    def component(self) -> str:
        return self.name

    def apply(self, reach: Reach) -> None:
        if self.template not in reach.target.permissions.fis_templates:
            raise NotPermitted(
                f"FIS template {self.template} is not permitted on target '{reach.target.name}';"
                " add it to permissions.fis_templates."
            )
        try:
            answer = reach.aws.calls.call(
                "fis",
                "start_experiment",
                clientToken=reach.lease[:64],
                experimentTemplateId=self.template,
            )
        except AwsError as error:
            raise FaultNotApplied(f"FIS template {self.template} was not started: {error}") from None
        reach.notes[self] = str(answer["experiment"]["id"])

    def prove(self, reach: Reach) -> str:
        experiment = reach.notes[self]
        state = self._await(reach, experiment, (*RUNNING, *ENDED))
        if state not in RUNNING:
            raise self.not_proven(f"experiment {experiment} is {state}")
        return f"FIS experiment {experiment} is {state}"

    def undo(self, reach: Reach) -> None:
        experiment = reach.notes.get(self)
        if experiment is None:
            return
        try:
            if self._state(reach, experiment) not in ENDED:
                reach.aws.calls.call("fis", "stop_experiment", id=experiment)
        except AwsError as error:
            raise AgentFailed(f"FIS experiment {experiment} was not stopped: {error}") from None
        state = self._await(reach, experiment, ENDED)
        if state not in ENDED:
            raise AgentFailed(f"FIS experiment {experiment} is still {state}.")

    def by_hand(self, reach: Reach) -> str:
        return f"aws fis stop-experiment --id {reach.notes.get(self, 'EXPERIMENT')}"

    def _state(self, reach: Reach, experiment: str) -> str:
        answer = reach.aws.calls.call("fis", "get_experiment", id=experiment)
        return str(answer["experiment"]["state"]["status"])

    def _await(self, reach: Reach, experiment: str, states: tuple[str, ...]) -> str:
        deadline = time.monotonic() + self.limit_s
        while True:
            state = self._state(reach, experiment)
            if state in states or time.monotonic() > deadline:
                return state
            time.sleep(POLL_S)
