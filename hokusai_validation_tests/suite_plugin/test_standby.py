"""A suite process that parts from the one on standby does what one does that is started with its command, and
ends with whoever keeps it."""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hokusai_validation.result import Phase
from hokusai_validation.runner import standby
from hokusai_validation.runner.fork_server import Forked
from hokusai_validation.runner.standby import MODULE, SuiteProcess

WAIT_S = 120.0


def _words(folder: Path) -> list[str]:
    return [sys.executable, "-m", MODULE, "--target", str(folder / "none.toml")]


def _ended(process: SuiteProcess) -> tuple[int, bytes]:
    assert process.stdout is not None
    output = process.stdout.read()
    return process.wait(WAIT_S), output


def test_a_command_runs_in_a_process_that_parts(tmp_path: Path) -> None:
    started = _ended(standby.start(_words(tmp_path), {}))
    with standby.keeping():
        for phase in Phase.FUNCTIONAL, Phase.FUNCTIONAL, Phase.HEALTH:
            standby.prepare_for(phase)
            process = standby.start(_words(tmp_path), {})
            assert isinstance(process, Forked)
            assert _ended(process) == started
    status, output = started
    assert status == 2
    assert output.startswith(b"error: Target ")


def test_two_at_once_are_told_apart() -> None:
    with standby.keeping():
        one, other = (standby.start(standby.command(word), {}) for word in ("--help", "--not-an-option"))
        assert (_ended(other)[0], _ended(one)[0]) == (2, 0)


def test_a_signal_ends_one_and_not_the_next() -> None:
    with standby.keeping():
        process = standby.start(standby.command("--help"), {})
        process.send_signal(signal.SIGKILL)
        assert process.wait(WAIT_S) in (0, -signal.SIGKILL)  # it may have been quicker
        assert _ended(standby.start(standby.command("--help"), {}))[0] == 0


def test_it_has_the_environment_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = standby.command("--target", "none")
    with standby.keeping():
        for folder in "/one/folder", "/another/folder":
            monkeypatch.setenv("HOKUSAI_TARGETS_DIR", folder)
            assert folder.encode() in _ended(standby.start(asked, {}))[1]


def test_one_that_is_not_needed_ends_with_the_block() -> None:
    with standby.keeping():
        kept = standby._kept
        assert kept is not None
    assert kept.process.returncode is not None


def test_what_parted_ends_with_it(tmp_path: Path) -> None:
    with standby.keeping():
        process = standby.start(_words(tmp_path), {})
        assert standby._kept is not None
        standby._kept.process.kill()
        assert process.wait(WAIT_S) in (2, -signal.SIGKILL)  # it may have been quicker
        with suppress(psutil.NoSuchProcess):
            psutil.Process(process.pid).wait(WAIT_S)


def test_without_it_one_is_started(tmp_path: Path) -> None:
    with standby.keeping():
        assert standby._kept is not None
        standby._kept.process.kill()
        standby._kept.process.wait()
        process = standby.start(_words(tmp_path), {})
        assert isinstance(process, subprocess.Popen)
        assert _ended(process)[0] == 2


@pytest.mark.parametrize("words", [["/bin/echo", "a word"], ["/bin/true"]])
def test_another_command_is_started(words: list[str]) -> None:
    with standby.keeping():
        process = standby.start(words, {})
        assert isinstance(process, subprocess.Popen)
        assert _ended(process)[0] == 0
