"""A run of a light target, killed at some moment, and what must hold afterwards."""

import contextlib
import random
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hokusai_sandbox_tests.aids import running_below
from hokusai_validation.reporting import manifest
from hokusai_validation.reporting.folder import DOCUMENTS
from hokusai_validation.result import Phase, Result
from hokusai_validation.runner.standby import MODULE
from hokusai_validation.store.results import ResultStore
from hokusai_validation_tests.endurance.light import ENVIRONMENT, started_for, within
from hokusai_validation_tests.whole.running import COMMAND, environment

GONE_S = 30.0  # until everything that a killed process had started has noticed
RUN_S = 300.0


@dataclass
class Bench:
    """Where the runs of one test keep everything. `sent` are the rows that were seen on the way,
    by run, phase, test and attempt."""

    base: Path
    target: Path
    more: Mapping[str, str] = field(default_factory=dict)
    sent: dict[tuple[str, Phase, str, int], Result] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The target's."""
        return self.target.stem

    @property
    def store(self) -> ResultStore:
        """Of the results."""
        return ResultStore(self.base / "results")

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """A run as a process."""
        with (self.base / "output.log").open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, str(self.target), "--no-load", "--no-chaos", *words],
                cwd=self.base,
                env=environment(self.base, **ENVIRONMENT, **self.more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def finish(self, *words: str) -> float:
        """A run to its end, which must have a report; how long it took in seconds."""
        before, begun = len(self.reports()), time.monotonic()
        with self.start(*words) as process:
            status = process.wait(RUN_S)
        assert status in (0, 1, 3), (status, self.output())
        assert len(self.reports()) == before + 1, self.output()
        return time.monotonic() - begun

    def note_sent(self) -> None:
        """Remember every row that is on record now."""
        self.sent |= {_key(row): row for row in self.store.rows(self.name)}

    def reports(self) -> list[Path]:
        """The folders of reports that can be seen."""
        parent = self.base / "results" / "reports" / self.name
        if not parent.exists():
            return []
        return [each for each in parent.iterdir() if each.name[0] != "." and not each.is_symlink()]

    def output(self) -> str:
        """The end of what the runs printed."""
        return (self.base / "output.log").read_text(errors="replace")[-3000:]

    def check(self, *, but: str = "") -> None:
        """What must hold at any time. `but` is a program of which some may be there until the next run."""

        def left() -> list[list[str]]:
            found = []
            for each in started_for(self.base):
                with contextlib.suppress(psutil.Error):
                    found.append(each.cmdline())
            return [words for words in found if words and words[0] != but]

        assert within(GONE_S, lambda: not left()), left()
        present = {_key(row): row for row in self.store.rows(self.name)}
        assert {key for key, row in self.sent.items() if present.get(key) != row} == set()
        for folder in self.reports():
            assert manifest.verify(folder).problems == ()
            assert {path.name for path in folder.iterdir()} >= {*DOCUMENTS, manifest.NAME}
        parent = self.base / "results" / "reports" / self.name
        if self.reports():
            # One that was moved to its place, but not pointed at yet, stands beside the chain.
            allowed = {(), ("not in the chain of `latest`",)}
            assert {link.problems for link in manifest.chain(parent)} <= allowed
        if (parent / "latest").is_symlink():
            assert manifest.verify((parent / "latest").resolve()).problems == ()
        for kept in (self.base / "results" / "rows").rglob("*.parquet"):
            assert kept.stat().st_size > 0


def kill_run(bench: Bench, after_s: float, *words: str) -> bool:
    """Kill the run's process after so many seconds; False where it had ended by itself."""
    process = bench.start(*words)
    over = _watch(bench, process, after_s)
    process.kill()
    process.wait()
    return not over


def kill_suite(bench: Bench, after_s: float, *words: str) -> bool:
    """Kill the suite process that runs after so many seconds, or the next; the run itself must come
    to its report. False where there was none any more."""
    before = len(bench.reports())
    with bench.start(*words) as process:
        over = _watch(bench, process, after_s)
        killed = False
        while not over and not killed and process.poll() is None:
            killed = _kill_one(process.pid)
            bench.note_sent()
        status = process.wait(RUN_S)
    assert status in (0, 1, 3), (status, bench.output())
    assert len(bench.reports()) == before + 1, bench.output()
    return killed


def _kill_one(pid: int) -> bool:
    try:
        for child in running_below(pid, MODULE):
            child.kill()
            return True
    except psutil.Error:
        pass
    return False


def _watch(bench: Bench, process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Note rows as they are reported, for so long; whether the process ended meanwhile."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        bench.note_sent()
        try:
            process.wait(min(0.2, left))
            return True
        except subprocess.TimeoutExpired:
            continue
    bench.note_sent()
    return False


def _key(row: Result) -> tuple[str, Phase, str, int]:
    return row.run_id, row.phase, row.test, row.attempt


def kill_any(bench: Bench, dice: random.Random, after_s: float, *words: str) -> int:
    """Kill one or two processes of a run, whichever they are, two of them at once; how many were killed.
    What of the run is left must end by itself."""
    with bench.start(*words) as process:
        over = _watch(bench, process, after_s)
        killed = 0
        if not over:
            family = _family(process.pid)
            for victim in dice.sample(family, min(dice.choice((1, 2)), len(family))):
                with contextlib.suppress(psutil.Error):
                    victim.kill()
                    killed += 1
        bench.note_sent()
        process.wait(RUN_S)
    return killed


def _family(pid: int) -> list[psutil.Process]:
    """A run's process and everything below it."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
