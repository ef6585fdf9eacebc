"""Dagster's storage, new, opened by several at once: one finds what another has just made."""

from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy.exc import ProgrammingError

from hokusai_validation.cli import execution
from hokusai_validation.cli.execution import RunFailed


class _Refused(Exception):
    """Of PostgreSQL; its library alone can set a code on its own."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.pgcode = code


def _opened(monkeypatch: pytest.MonkeyPatch, home: Path, *codes: str) -> None:
    """Open it, refused with these codes first."""
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setattr(execution, "OPEN_PAUSE_S", 0.0)
    left, really = list(codes), dg.DagsterInstance.get

    def get() -> dg.DagsterInstance:
        if left:
            raise ProgrammingError("CREATE TABLE runs", None, _Refused(left.pop(0)))
        return really()

    monkeypatch.setattr(dg.DagsterInstance, "get", get)
    with execution.instance():
        assert not left


def test_what_another_has_made_meanwhile_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _opened(monkeypatch, tmp_path / "home", "42710", "23505")


def test_what_is_refused_otherwise_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="can't be used: ProgrammingError"):
        _opened(monkeypatch, tmp_path / "home", "42501")


def test_what_never_ends_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="can't be used: ProgrammingError"):
        _opened(monkeypatch, tmp_path / "home", *["42710"] * execution.OPEN_TRIES)
