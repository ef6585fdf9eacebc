"""Running the real suite against a target file, from a test of ours."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from hokusai_validation import suite
from hokusai_validation.result import Result, Status, final_attempts

SUITE = Path(suite.__file__).parent


class SuiteRuns:
    """One child process for many runs; ended with the block, and by the kernel when we die (its
    standard input closes)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        } | {"PYTEST_ADDOPTS": ""}
        self._log = (folder / "suite-runs.log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hokusai_validation_tests.suite.many_runs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=folder,
            env=environment,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def run(
        self,
        target: Path,
        *arguments: str,
        files: Sequence[str] = ("test_circuit_breaker.py",),
        seed: int | None = None,
    ) -> Mapping[str, Result]:
        """The last attempt's row of every test that ran, by the test's name. `files` are the suite's.
        In the suite's own order, as a validation runs it, or in a random one of pytest-randomly's: the
        plugin then puts the exclusive ones last, in that order."""
        order = ["-p", "no:randomly"] if seed is None else [f"--randomly-seed={seed}"]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".jsonl") as rows:
            request: dict[str, object] = {"target": str(target), "rows": rows.name}
            request |= {"files": [str(SUITE / file) for file in files], "arguments": [*order, *arguments]}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            self._log.seek(0)
            log = self._log.read()
            assert answer, f"The suite's process ended: {log[-2000:]}"
            lines = Path(rows.name).read_text().splitlines()
        assert lines, f"The run sent no row: {log[-2000:]}"
        found = [Result.model_validate_json(line) for line in lines]
        return {result.test: result for result in final_attempts(found) if result.message != "not selected"}


def red(results: Iterable[Result]) -> set[str]:
    """Ids of the tests that failed."""
    return {result.id for result in results if result.status is Status.FAILED}


def not_judged(results: Iterable[Result]) -> dict[str, str]:
    """Tests that could not judge, with what they say."""
    return {result.id: result.message for result in results if result.status is Status.BROKEN}
