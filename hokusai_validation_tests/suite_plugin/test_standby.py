"""A suite process that waits for its command does what one does that is started with it, and ends with
whoever keeps it."""

import sys
from pathlib import Path

from hokusai_validation.result import Phase
from hokusai_validation.runner import standby
from hokusai_validation.runner.standby import MODULE


def _words(folder: Path) -> list[str]:
    return [sys.executable, "-m", MODULE, "--target", str(folder / "none.toml")]


def test_a_command_runs_in_the_process_that_waits(tmp_path: Path) -> None:
    with standby.keeping():
        process = standby.take(_words(tmp_path), {})
        assert process is not None
        waited, _ = process.communicate(timeout=120)
    begun = standby.start(_words(tmp_path), {})
    started, _ = begun.communicate(timeout=120)
    assert (process.returncode, waited) == (begun.returncode, started)
    assert process.returncode == 2
    assert waited.startswith(b"error: Target ")


def test_one_that_gets_ready_for_a_phase_runs_its_command_then(tmp_path: Path) -> None:
    with standby.keeping():
        standby.prepare_for(Phase.FUNCTIONAL)
        standby.prepare_for(Phase.FUNCTIONAL)
        process = standby.take(_words(tmp_path), {})
        assert process is not None
        waited, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert waited.startswith(b"error: Target ")


def test_one_that_is_not_needed_ends_with_the_block() -> None:
    with standby.keeping():
        kept = standby._kept
        assert kept is not None
    assert kept.returncode is not None


def test_one_that_has_died_is_not_given_away(tmp_path: Path) -> None:
    with standby.keeping():
        assert standby._kept is not None
        standby._kept.kill()
        standby._kept.wait()
        assert standby.take(_words(tmp_path), {}) is None


def test_none_is_kept_outside(tmp_path: Path) -> None:
    standby.prepare()
    assert standby.take(_words(tmp_path), {}) is None
