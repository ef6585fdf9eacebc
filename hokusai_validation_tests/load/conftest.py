"""A server and a way to run a plan in this process."""

import time
from collections.abc import Iterator

import pytest
import uvloop

from hokusai_validation.load.models import ClosedRun, OpenRun
from hokusai_validation.load.outcome import Outcome, Second
from hokusai_validation.load.plan import Open, Plan
from hokusai_validation_tests.load.stub import Stub


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


def execute(plan: Plan, seconds: list[Second] | None = None, *, lead_s: float = 0.0) -> Outcome:
    """A plan, without a worker process around it, beginning `lead_s` from now."""

    async def go() -> Outcome:
        make = OpenRun if isinstance(plan.model, Open) else ClosedRun
        run = make(plan, 0, 1, ([] if seconds is None else seconds).append)
        await run.prepare()
        return await run.execute(time.perf_counter() + lead_s)

    return uvloop.run(go())
