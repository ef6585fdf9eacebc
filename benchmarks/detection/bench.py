"""Draws one after the other: put on, measured, validated, taken off, judged, kept."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from benchmarks.detection import measured
from benchmarks.detection.judge import judge
from benchmarks.detection.measured import Seen
from benchmarks.detection.model import Draw, Effect, Fault, Outcome, Record
from benchmarks.detection.records import Records, said_of
from benchmarks.detection.stage import Stage
from benchmarks.detection.whole_run import run_light
from hokusai_validation.errors import HokusaiError
from hokusai_validation.report import Report
from hokusai_validation.target import Target, read_target

TRIES = 6
LOOKS, LOOK_AGAIN_S = 3, 2.0
SHARE_TRIES = 30  # one in five goes wrong: by chance none does in one draw of 800
BROKEN = Outcome(right=False, why="it could not be run")


def run_all(draws: Iterable[Draw], folder: Path, records: Records) -> Iterator[Record]:
    """Each draw's record. What was recorded already is not run again."""
    known = {record.draw.id: record for record in records.read() if not record.error}
    with Stage(folder) as stage:
        for draw in draws:
            if draw.id in known:
                yield known[draw.id]
                continue
            began = time.monotonic()
            report, target = None, None
            try:
                report, target, effects = _run(stage, draw)
                said = said_of(report.findings)
                effective = all(item.seen for item in effects)
                record = Record(
                    draw=draw,
                    said=said,
                    verdict=report.verdict.value,
                    effects=effects,
                    outcome=judge(draw, said, effective=effective),
                )
            except (HokusaiError, RuntimeError, OSError, ValueError) as error:
                stage.end()
                record = Record(draw=draw, outcome=BROKEN, error=f"{type(error).__name__}: {error}"[:500])
            record = record.model_copy(update={"seconds": round(time.monotonic() - began, 1)})
            records.keep(record, report, target)
            yield record


def effects_of(faults: Iterable[Fault], folder: Path) -> Iterator[tuple[Fault, str, bool]]:
    """Each fault put on alone, without a run: what was seen of it, and whether it has an effect."""
    with Stage(folder) as stage:
        for fault in faults:
            try:
                before = measured.measure(stage.ready(None), fault.probes, TRIES)
                with stage.changed(fault.changes):
                    found = _effect(folder, fault, before)
                yield fault, "; ".join(f"{name} {text}" for name, text in found.numbers.items()), found.seen
            except (HokusaiError, RuntimeError, OSError, ValueError) as error:
                stage.end()
                yield fault, f"{type(error).__name__}: {error}"[:300], False


def _run(stage: Stage, draw: Draw) -> tuple[Report, Target, tuple[Effect, ...]]:
    """The run's report, the target as it was read, and what was seen of the faults."""
    folder = stage.ready(draw.scenario)
    before = measured.measure(folder, sorted({probe for fault in draw.faults for probe in fault.probes}))
    lasting = [fault for fault in draw.faults if fault.duty != "once"]
    passing = [fault for fault in draw.faults if fault.duty == "once"]
    effects: list[Effect] = []
    over = threading.Event()
    watchers: list[Future[None]] = []

    def watch(fault: Fault) -> None:
        on = threading.Event()
        held = pool.submit(stage.for_a_while, fault, on, over)
        if on.wait(fault.start_s + 60.0):
            # Few tries: the fault lasts some seconds only.
            effects.append(measured.effect(fault, before, measured.measure(folder, fault.probes, tries=2)))
        held.result()

    def begin() -> None:
        watchers.extend(pool.submit(watch, fault) for fault in passing)

    with (
        ThreadPoolExecutor() as pool,
        stage.changed([change for fault in lasting for change in fault.changes]),
    ):
        effects += [_effect(folder, fault, before) for fault in lasting]
        path = stage.target(draw)
        target = read_target(str(path))
        try:
            report = run_light(path, target, busy=draw.busy, on_functional=begin)
        finally:
            over.set()
        for watcher in watchers:
            watcher.result()
        if len(effects) < len(draw.faults):
            raise RuntimeError("The run was over before every fault had been put on.")
    return report, target, tuple(effects)


def _effect(folder: Path, fault: Fault, before: Mapping[str, Seen]) -> Effect:
    tries = SHARE_TRIES if fault.duty == "share" else TRIES
    for _ in range(LOOKS):
        found = measured.effect(fault, before, measured.measure(folder, fault.probes, tries))
        if found.seen:
            break
        time.sleep(LOOK_AGAIN_S)  # the balancer reads its rules anew every few seconds
    return found


def tell(record: Record) -> None:
    """One line on standard error."""
    outcome = record.outcome
    word = "no effect" if not record.effective else "ok" if outcome.right else "WRONG"
    said = "; ".join(map(str, record.said)) or "nothing"
    wanted = "; ".join(map(str, record.draw.expected)) or "nothing"
    line = f"{word:9} {record.seconds:5.0f} s  {record.draw.id}: {said}"
    if word != "ok" or outcome.extra:
        line += f"  (expected {wanted}" + (f"; {outcome.why}" if outcome.why else "") + ")"
    print(line + (f"  {record.error}" if record.error else ""), file=sys.stderr, flush=True)
