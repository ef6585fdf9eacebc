"""Foreign breaker source: imported in isolation, and every way in which that fails is said."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hokusai_validation.errors import NotJudged
from hokusai_validation.probes.breaker_source import imported
from hokusai_validation.result import Result, Status
from hokusai_validation.target import Breaker
from hokusai_validation_tests.suite.suite_runs import SuiteRuns, not_judged, red

SOUND = """
import os, time
from shop.parts import CLOSED, double

class Breaker:
    def __init__(self, failure_threshold=None, recovery_timeout=None, max_recovery_attempts=None):
        def given(value, name, default):
            if value is not None:
                return value
            text = os.environ.get(name, default)
            try:
                return float(text) if name.endswith("TIMEOUT") else int(text)
            except ValueError:
                raise ValueError(f"{name}={text!r} is no number") from None
        self.failure_threshold = given(failure_threshold, "MLFLOW_CB_FAILURE_THRESHOLD", "5")
        self.recovery_timeout = given(recovery_timeout, "MLFLOW_CB_RECOVERY_TIMEOUT", "60")
        self.max_attempts = given(max_recovery_attempts, "MLFLOW_CB_MAX_RECOVERY_ATTEMPTS", "5")
        self.last_success_time = None
        self.force_reset()

    def force_reset(self):
        self.state, self.last_failure_time = CLOSED, None
        self.failure_count = self.consecutive_successes = self.recovery_attempts = 0

    def _wait(self):
        from shop.parts import double  # at call time, from its own folder
        over = self.recovery_attempts - self.max_attempts
        return self.recovery_timeout if over < 0 else double(self.recovery_timeout, over + 1)

    def _since(self):
        return max(0.0, time.time() - self.last_failure_time)

    def is_open(self):
        if self.state == "OPEN" and self._since() >= self._wait():
            self.state = "HALF_OPEN"
            self.recovery_attempts += 1
            self.consecutive_successes = 0
        return self.state == "OPEN"

    def record_success(self):
        self.consecutive_successes += 1
        self.last_success_time = time.time()
        if self.state == CLOSED:
            self.failure_count = max(0, self.failure_count - 1)
        elif self.state == "HALF_OPEN" and self.consecutive_successes >= 2:
            self.state, self.failure_count, self.recovery_attempts = CLOSED, 0, 0

    def record_failure(self):
        self.failure_count += 1
        self.consecutive_successes = 0
        self.last_failure_time = time.time()
        if self.state == "HALF_OPEN" or (
            self.state == CLOSED and self.failure_count >= self.failure_threshold
        ):
            self.state = "OPEN"

    def get_status(self):
        failed = self.last_failure_time is not None
        return {
            "state": self.state,
            "failure_count": self.failure_count,
            "consecutive_successes": self.consecutive_successes,
            "recovery_attempts": self.recovery_attempts,
            "last_failure_time": self.last_failure_time,
            "last_success_time": self.last_success_time,
            "time_since_last_failure": self._since() if failed else None,
            "time_until_retry": max(0.0, self._wait() - self._since()) if self.state == "OPEN" else 0.0,
            "failure_threshold": self.failure_threshold,
            "recovery_timeout": self.recovery_timeout,
        }
"""
SHARED = """
from shop.breaker import Breaker

_the_one = None

def _shared():
    global _the_one
    if _the_one is None:
        _the_one = Breaker()
    return _the_one

def get_circuit_breaker_status():
    return _shared().get_status()

def reset_circuit_breaker():
    _shared().force_reset()
"""
PARTS = "CLOSED = 'CLOSED'\n\ndef double(value, times):\n    return value * 2 ** times\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A foreign package `shop`, beside modules that have the names of ours."""
    package = tmp_path / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "breaker.py").write_text(SOUND)
    (package / "shared.py").write_text(SHARED)
    (package / "parts.py").write_text(PARTS)
    for name in ("httpx", "pydantic", "redis", "hokusai_validation", "json"):
        (tmp_path / "src" / f"{name}.py").write_text("raise RuntimeError('the wrong module was imported')\n")
    return tmp_path / "src"


def breaker_of(folder: Path, path: str = "shop.breaker:Breaker") -> Breaker:
    return Breaker(path=path, source=folder, shared="shop.shared")


def test_foreign_source_leaves_no_trace(folder: Path) -> None:
    import httpx

    before, path = dict(sys.modules), list(sys.path)
    with imported(breaker_of(folder)) as source:
        assert source.breaker_class.__module__ == "shop.breaker"
        assert sys.modules["httpx"] is httpx
        breaker = source.breaker_class(1, 5.0, 0)
        breaker.record_failure()
        assert breaker.is_open()  # imports from its own folder when called
    assert sys.path == path
    assert {name: id(module) for name, module in sys.modules.items()} == {
        name: id(module) for name, module in before.items()
    }
    assert not list(folder.rglob("__pycache__"))


def test_each_import_is_a_fresh_one(folder: Path) -> None:
    with imported(breaker_of(folder)) as first, imported(breaker_of(folder)) as second:
        assert first.breaker_class is not second.breaker_class
        assert first.shared is not second.shared


def test_installed_module_is_put_back() -> None:
    from hokusai_sandbox import breaker as ours

    name = "hokusai_sandbox.breaker"
    with imported(Breaker(path=f"{name}:MLflowCircuitBreaker")) as source:
        assert source.module is not ours
        assert len(source.living()) == 1
    assert sys.modules[name] is ours
    assert sys.modules["hokusai_sandbox"].breaker is ours


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("shop.none:Breaker", None, "there is no module shop.none"),
        ("shop.breaker:Missing", None, "Module shop.breaker has no class Missing"),
        ("shop.breaker:double", None, "Module shop.breaker has no class double"),
        ("shop.bad:B", "import structlog_that_is_not_there", "no module structlog_that_is_not_there"),
        ("shop.bad:B", "from shop.parts import OPEN", "cannot import name 'OPEN'"),
        ("shop.bad:B", "class B(:\n", "SyntaxError"),
        ("shop.bad:B", "1 / 0", "ZeroDivisionError"),
        ("shop.bad:B", "import sys; sys.exit(3)", "SystemExit"),
    ],
)
def test_what_failed_is_named(folder: Path, path: str, code: str | None, says: str) -> None:
    if code is not None:
        (folder / "shop" / "bad.py").write_text(code)
    modules = set(sys.modules)
    with pytest.raises(NotJudged, match=says) as caught, imported(Breaker(path=path, source=folder)):
        pass
    assert path.partition(":")[0] in str(caught.value)
    assert set(sys.modules) == modules


def test_missing_folder_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(NotJudged, match=r"source folder .*nowhere is not there"),
        imported(breaker_of(tmp_path / "nowhere")),
    ):
        pass


def target_file(folder: Path, breaker: str) -> Path:
    path = folder / "target.toml"
    path.write_text(f'name = "elsewhere"\n{breaker}')
    return path


def test_suite_judges_a_breaker_outside_the_project(folder: Path, tmp_path: Path) -> None:
    target = target_file(
        tmp_path, '[breaker]\npath = "shop.breaker:Breaker"\nsource = "src"\nshared = "shop.shared"\n'
    )
    with SuiteRuns(tmp_path) as runs:
        sound = runs.run(target, "--category", "unit")
        skipped = [row for row in sound.values() if row.status is Status.SKIPPED]
        assert {row.id: row.message for row in skipped} == {
            "U22": "no instances configured",
            "U23": "no instances configured",
        }
        assert len([row for row in sound.values() if row.status is Status.PASSED]) == 21, sound

        file = folder / "shop" / "breaker.py"
        file.write_text(SOUND.replace(">= self.failure_threshold", "> self.failure_threshold"))
        os.utime(file, (1, 1))
        wrong = runs.run(target, "--category", "unit")
        assert "U4" in red(wrong.values())
        assert {fact.kind for fact in wrong_row(wrong, "U4").facts} == {"breaker_contract"}

        file.write_text("import not_installed_anywhere\n")
        broken = runs.run(target, "--category", "unit")
        messages = not_judged(broken.values())
        assert len(messages) == 21
        assert all("no module not_installed_anywhere" in message for message in messages.values())

        none = runs.run(target_file(tmp_path, ""), "--category", "unit")
        assert {row.message for row in none.values() if row.id not in ("U22", "U23")} == {
            "no breaker source configured"
        }


def wrong_row(rows: Mapping[str, Result], test_id: str) -> Result:
    return next(row for row in rows.values() if row.id == test_id)
