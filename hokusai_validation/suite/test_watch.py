"""What was asked every second while the other tests ran: of an outage of seconds they meet nothing but by
chance."""

from collections.abc import Sequence

import pytest

from hokusai_validation.observation import Observation
from hokusai_validation.resources import recording
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.runner.watch import Watch, is_out


class TestWatch:
    """The parts, from the phase's first test to its last."""

    def test_parts_were_there_meanwhile(self, watch: Watch, evidence: Evidence) -> None:
        """Every part answered each time; a refusal is an answer, too."""
        watch.await_return()
        seen = watch.end()
        recorder = recording.current()
        if recorder is not None and not watch.told:
            watch.told = True  # a second attempt sees nothing new
            for each in seen:
                recorder.add(each)
        bad: dict[str, list[Observation]] = {}
        for each in seen:
            if is_out(each):
                bad.setdefault(each.dialled, []).append(each)
        evidence.record("questions", len(seen))
        if bad:
            pytest.fail("; ".join(_told(part, failures) for part, failures in sorted(bad.items())))


def _told(part: str, failures: Sequence[Observation]) -> str:
    first, last = failures[0].started_at, failures[-1].ended_at
    errors = sorted({str(each.error_class) for each in failures})
    return (
        f"{part} did not answer well {len(failures)} times between {first:%H:%M:%S} and {last:%H:%M:%S} UTC:"
        f" {', '.join(errors)}"
    )
