"""Runs that are killed at random moments: no row that was reported is lost, no document is
half-written, nothing is left behind, and the next run works."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hokusai_validation_tests.endurance.kills import Bench, kill_run, kill_suite
from hokusai_validation_tests.endurance.light import target_file
from hokusai_validation_tests.suite_beyond.stub import serving

SEED = 20260101
VICTIMS = {"run": kill_run, "suite": kill_suite}
SHORT = ("--phase", "environment", "--phase", "health")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with serving() as stub:
        yield Bench(tmp_path, target_file(tmp_path, "light", stub.url))


def kill(bench: Bench, dice: random.Random, victim: str, whole_s: float, *words: str) -> None:
    """One kill at a random moment of a run that takes about `whole_s`."""
    share = dice.uniform(0.02, 1.0)
    while not VICTIMS[victim](bench, share * whole_s, *words):
        bench.check()
        share /= 2  # it had ended: this machine is faster than a moment ago
    bench.check()


def test_three_kills_cost_nothing_that_was_reported(bench: Bench) -> None:
    dice = random.Random(SEED)
    whole_s = bench.finish(*SHORT)
    for victim in ("run", "suite", "run"):
        kill(bench, dice, victim, whole_s, *SHORT)
    bench.finish(*SHORT)
    bench.note_sent()
    bench.check()


@pytest.mark.soak
@pytest.mark.parametrize("number", range(30))
def test_thirty_kills_cost_nothing_that_was_reported(bench: Bench, number: int) -> None:
    dice = random.Random(f"{SEED} {number}")
    whole_s = bench.finish()
    bench.note_sent()
    kill(bench, dice, dice.choice(sorted(VICTIMS)), whole_s)
    bench.finish()
    bench.note_sent()
    bench.check()
