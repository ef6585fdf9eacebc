"""Quiet times: neither load nor a fault within them, whoever asks."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine

from hokusai_validation.permission import Gate
from hokusai_validation.target import LOAD, Target

BERLIN = ZoneInfo("Europe/Berlin")


def gate(**quiet: Any) -> Gate:
    """Of a target that permits load and a fault, and is quiet then."""
    permissions = {
        "faults": ["refuse"],
        "load": {"max_rate": 1, "max_duration_s": 1},
        "quiet": [{"start": "22:00", "end": "06:00", "zone": "Europe/Berlin", **quiet}],
    }
    return Gate(Target.model_validate({"name": "t", "permissions": permissions}))


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        (datetime(2026, 11, 27, 21, 59, tzinfo=BERLIN), False),  # a Friday
        (datetime(2026, 11, 27, 22, 0, tzinfo=BERLIN), True),
        (datetime(2026, 11, 28, 5, 59, tzinfo=BERLIN), True),
        (datetime(2026, 11, 28, 6, 0, tzinfo=BERLIN), False),
        (datetime(2026, 11, 28, 23, 0, tzinfo=BERLIN), False),  # Saturday's evening begins none
        (datetime(2026, 11, 29, 3, 0, tzinfo=BERLIN), False),
    ],
)
def test_over_midnight_of_the_days_that_it_starts_on(moment: datetime, quiet: bool) -> None:
    with time_machine.travel(moment, tick=False):
        for kind in (LOAD, "refuse"):
            reason = gate(days=["fri"]).refusal(kind)
            assert ("quiet time" in (reason or "")) is quiet


def test_dates() -> None:
    of = gate(start="00:00", end="23:59", dates=["2026-12-24"])
    with time_machine.travel(datetime(2026, 12, 24, 12, tzinfo=BERLIN), tick=False):
        assert of.refusal(LOAD)
    with time_machine.travel(datetime(2026, 12, 25, 12, tzinfo=BERLIN), tick=False):
        assert of.refusal(LOAD) is None


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        gate(zone="Mars/Phobos")
