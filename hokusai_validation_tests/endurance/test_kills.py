"""Runs that are killed at random moments: no row that was reported is lost, no document is
half-written, nothing is left behind, and the next run works."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.many_targets import storage
from hokusai_validation_tests.deploy.conftest import running_postgres
from hokusai_validation_tests.endurance import ui
from hokusai_validation_tests.endurance.kills import Bench, kill_any, kill_run, kill_suite
from hokusai_validation_tests.endurance.light import target_file, within
from hokusai_validation_tests.suite_beyond.stub import serving

SEED = 20260101
VICTIMS = {"run": kill_run, "suite": kill_suite}
SHORT = ("--phase", "health")


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


@pytest.mark.soak
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


@pytest.mark.soak
@pytest.mark.parametrize("block", range(20))
def test_a_hundred_kills_of_any_process_cost_nothing_that_was_reported(bench: Bench, block: int) -> None:
    """Five in each block, of any of a run's processes, two at once among them."""
    dice = random.Random(f"any {SEED} {block}")
    whole_s = bench.finish(*SHORT)
    kills = 0
    while kills < 5:
        kills += kill_any(bench, dice, dice.uniform(0.02, 1.0) * whole_s, *SHORT)
        # Of Dagster's: where the process that watches it was killed too, the next run ends it.
        bench.check(but="tail")
    bench.finish(*SHORT)
    bench.note_sent()
    bench.check()


@pytest.mark.soak
@pytest.mark.parametrize("number", range(3))
def test_a_killed_daemon_costs_nothing_that_was_reported(bench: Bench, number: int) -> None:
    """The UI ends with its daemon, and the run that it had launched ends too. The next UI says so of
    that run, and launches another."""
    dice = random.Random(f"daemon {SEED} {number}")
    with ui.serving(bench) as up:
        run_id = up.launch()
        assert within(ui.RUN_S, lambda: bool(bench.store.runs(bench.name)))
        ui.sleep_noting(bench, dice.uniform(0.0, 10.0))
        up.kill_daemon()
        up.process.wait(60)
    bench.check()
    bench.finish(*SHORT)
    with ui.serving(bench) as up:
        again = up.launch()
        up.await_end(again)
        assert up.await_end(run_id)
    bench.note_sent()
    bench.check()
    assert again in {path.name for path in bench.reports()}


@pytest.mark.soak
@pytest.mark.parametrize("number", range(3))
def test_a_database_restarted_costs_nothing_that_was_reported(bench: Bench, number: int) -> None:
    dice = random.Random(f"database {SEED} {number}")
    with running_postgres() as server:
        bench.more = {**storage(bench.base, server)}
        whole_s = bench.finish(*SHORT)
        share = dice.uniform(0.1, 0.9)
        with bench.start(*SHORT) as process:
            ui.sleep_noting(bench, share * whole_s)
            server.restart()
            assert process.wait(ui.RUN_S) in (0, 1, 3), bench.output()
        bench.check()
        bench.finish(*SHORT)
        bench.note_sent()
        bench.check()
