"""The suite's end of Dagster Pipes: what to do comes in, progress goes out. No row depends on it."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dagster_pipes import (
    DAGSTER_PIPES_CONTEXT_ENV_VAR,
    PipesContext,
    PipesS3ContextLoader,
    PipesS3MessageWriter,
    open_dagster_pipes,
)
from pydantic import JsonValue

from hokusai_validation.bounds import own_account
from hokusai_validation.permission import Gate
from hokusai_validation.resources import hanging
from hokusai_validation.resources.hanging import Asked
from hokusai_validation.result import Progress, Result, SkipReason
from hokusai_validation.runner import attempts
from hokusai_validation.runner.attempts import Pair
from hokusai_validation.target import Target

TRANSPORT_VARIABLE = "HOKUSAI_PIPES"  # `s3` inside an ECS task


class Pipes:
    """Dagster's context for this process."""

    def __init__(self, context: PipesContext) -> None:
        self._context = context
        self.extras = context.extras
        self.target = Target.model_validate(self.extras["target"])
        self.run_id = str(self.extras["run_id"])

    @classmethod
    def opened(cls) -> Self:
        """Open what the environment describes."""
        if os.environ.get(TRANSPORT_VARIABLE) != "s3":
            return cls(open_dagster_pipes())
        s3 = own_account.s3()
        return cls(
            open_dagster_pipes(
                context_loader=PipesS3ContextLoader(client=s3),
                message_writer=PipesS3MessageWriter(client=s3, interval=1.0),
            )
        )

    def notify(self, progress: Progress) -> None:
        """A line of progress; one that can't be sent is lost, and the phase sees that."""
        try:
            self._context.report_custom_message(progress.model_dump(mode="json"))
        except Exception as error:
            print(f"A progress message was not sent: {error}")

    def close(self) -> None:
        """Send what still waits."""
        try:
            self._context.close()
        except Exception as error:
            print(f"The progress messages were not all sent: {error}")


def gate_extras(gate: Gate) -> dict[str, list[str]]:
    """A gate, to travel to another process beside its target and run."""
    return {"granted": sorted(gate.granted)}


@dataclass(frozen=True)
class Known:
    """What earlier phases of a run have seen of its target: what hung, the components that were not well
    before anything was done to them, and what failed again at a second attempt."""

    hung: tuple[Asked, ...] = ()
    unhealthy: tuple[str, ...] = ()
    standing: tuple[Pair, ...] = ()

    def extras(self) -> dict[str, JsonValue]:
        """It, to travel to another process."""
        hung: list[JsonValue] = [[each.host, each.port, each.operation] for each in self.hung]
        standing: list[JsonValue] = [list(each) for each in self.standing]
        return {"hung": hung, "unhealthy": list(self.unhealthy), "standing": standing}

    @classmethod
    def of(cls, rows: Iterable[Result]) -> Self:
        """By the rows so far, in order."""
        held = tuple(rows)
        unhealthy = {row.blocked_by for row in held if row.skip_reason is SkipReason.UNHEALTHY_BEFORE}
        return cls(
            tuple(sorted(hanging.seen_in(seen for row in held for seen in row.observations), key=str)),
            tuple(sorted(each for each in unhealthy if each is not None)),
            tuple(sorted(attempts.standing_in(held))),
        )

    @classmethod
    def given(cls, extras: Mapping[str, Any]) -> Self:
        """As `extras` brought it."""
        hung = tuple(Asked(host, port, operation) for host, port, operation in extras.get("hung", ()))
        standing = tuple((what, where) for what, where in extras.get("standing", ()))
        return cls(hung, tuple(extras.get("unhealthy", ())), standing)


def started_by_dagster() -> bool:
    """Whether a phase started this process."""
    return DAGSTER_PIPES_CONTEXT_ENV_VAR in os.environ


def open_pipes() -> Pipes | None:
    """Dagster's context where one is open for this process, else None."""
    return Pipes.opened() if started_by_dagster() else None
