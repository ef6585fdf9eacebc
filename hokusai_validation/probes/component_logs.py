"""What a component wrote down around a failure that its answer says nothing of.

A 500 with a bare page names no cause; the component's log group often does. Read are the `LINES` lines that
lie nearest to the failure in time, for one that is busy writes hundreds a second; they are classified where they
come in, and the class is an observation of the component's own: nothing of their text is kept."""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from hokusai_validation.errors import HokusaiError
from hokusai_validation.observation import ErrorClass, Observation
from hokusai_validation.resources import recording
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.models import LogEvent
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target

LINES = 1000
LINES_BYTES = 256_000
BEFORE_S = 30.0  # an earlier failure of the kind may be on record when this one is not yet
AFTER_S = 5.0  # clocks differ
FETCHED = 5000
READS = 12  # of one process
AGAIN_S = 20.0  # what is read of one group sooner would be the same lines
DELAY_S = 2.0  # what was written is there a moment later


class ComponentLogs:
    """Reads the log groups of one target's components. Without AWS, or without the right, it reads
    nothing."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        services = target.aws.services if target.aws is not None else {}
        self._groups = {name: each.log_group for name, each in services.items() if each.log_group}
        self._target, self._secrets = target, secrets
        self._aws: Aws | None = None
        self._left = READS
        self._read_at: dict[str, float] = {}

    def explain(self, seen: Iterable[Observation]) -> None:
        """Note what the logs tell of the answers among these that say nothing of why they are errors."""
        for failure in [each for each in seen if is_bare(each)][-1:]:
            # The furthest from who asked first: those before it only pass its error on.
            for component in reversed([edge.to for edge in failure.path if not edge.optional]):
                if component in self._groups and self._tell(component, failure):
                    return

    def _tell(self, component: str, failure: Observation) -> bool:
        group = self._groups[component]
        read_at = self._read_at.get(group)
        if self._left <= 0 or (read_at is not None and time.monotonic() - read_at < AGAIN_S):
            return False
        told = False
        for pause_s in (0.0, DELAY_S):
            time.sleep(pause_s)
            self._left -= 1
            try:
                with recording.unrecorded():
                    text = self._lines(group, failure.started_at, failure.ended_at)
            except HokusaiError:
                break  # no right, no such group, or no answer: nobody else's trouble, and tried so often only
            told = recording.logged(component, text, failure)
            if told or not self._left:
                break
        self._read_at[group] = time.monotonic()
        return told

    def _lines(self, group: str, began: datetime, ended: datetime) -> str:
        if self._aws is None:
            self._aws = Aws.from_target(self._target, self._secrets)
        since, until = began - timedelta(seconds=BEFORE_S), ended + timedelta(seconds=AFTER_S)
        events = self._aws.data.log_events(group, since, until=until, limit=FETCHED)
        return nearest(events, ended)


def nearest(events: Sequence[LogEvent], at: datetime) -> str:
    """The lines by their distance from a moment, the nearest last; of one distance as they were written."""
    found = sorted(events, key=lambda event: -abs((event.at - at).total_seconds()))
    return "\n".join(event.message for event in found[-LINES:])[-LINES_BYTES:]


def is_bare(seen: Observation) -> bool:
    """Whether it is an error of a server's that says nothing of its cause."""
    bare = seen.native is None or seen.native.system in ("http", "mlflow")
    return (
        seen.error_class is ErrorClass.SERVER_ERROR
        and bare
        and seen.status is not None
        and not seen.faults_on
    )
