"""The folder of a start that was killed as a whole ends with the next start; that of one that lives stays."""

import os
import signal
from pathlib import Path

import pytest

from hokusai_sandbox import folders
from hokusai_validation.store import scratch


def started() -> tuple[int, Path]:
    """A process that holds a run's folder, and that folder."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, str(folders.new_run_folder()).encode())
        signal.pause()
    try:
        return child, Path(os.read(told, 4096).decode())
    finally:
        os.close(told)
        os.close(tell)


def test_what_a_killed_start_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_temporary", lambda: tmp_path)
    dead, left = started()
    alive, held = started()
    try:
        (left / "postgres").mkdir()
        os.kill(dead, signal.SIGKILL)
        os.waitpid(dead, 0)
        mine = folders.new_run_folder()
        assert not left.exists()
        assert held.exists()
        scratch.remove(mine)
    finally:
        os.kill(alive, signal.SIGKILL)
        os.waitpid(alive, 0)
    scratch.sweep(tmp_path, "hokusai-sandbox-")
    assert list(tmp_path.iterdir()) == []
