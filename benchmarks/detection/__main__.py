"""How often the diagnosis is right: `python -m benchmarks.detection`.

    --random N --seed S   N generated draws: singles, pairs and triples as 3 : 1.5 : 1
    --draws FILE          draws from elsewhere, with what must come out (JSON lines of a draw)
    --cases [NAME…]       the cases from public reports, controls among them
    --scenarios [NAME…]   the sandbox's own scenarios
    --controls N          N runs of a clean sandbox
    --effects             no run: put every fault of the grammar on once, and say whether it has an effect
    --resume DIR          keep a JSON line a draw and its rows there; what is there is not run again
    --replay DIR          run nothing: diagnose the rows that lie there again
    --json                totals and draws on standard output
    --table FILE          write the table as Markdown

Exit status 0 when every draw with an effect came out right, 1 when not, 3 when something could not be run.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.detection.bench import effects_of, run_all, tell
from benchmarks.detection.cases import CASES, SCENARIOS, read
from benchmarks.detection.grammar import faults
from benchmarks.detection.model import Draw, Record
from benchmarks.detection.records import Records
from benchmarks.detection.totals import table, totals


def main() -> int:
    """Run or replay, and count."""
    asked = _asked()
    if asked.effects:
        return _effects()
    records = list(_replayed(asked.replay) if asked.replay else _run(_draws(asked), asked.resume))
    if asked.table is not None:
        asked.table.write_text(table(records), encoding="utf-8")
    counted = totals(records)
    if asked.json:
        document = {"totals": counted, "draws": [record.model_dump(mode="json") for record in records]}
        print(json.dumps(document, indent=1))
    else:
        for name, value in counted.items():
            print(f"{name.replace('_', ' ')}: {value}")
    if counted["errors"]:
        return 3
    return 0 if all(record.outcome.right for record in records) else 1


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--random", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--draws", type=Path, metavar="FILE")
    parser.add_argument("--cases", nargs="*", metavar="NAME")
    parser.add_argument("--scenarios", nargs="*", metavar="NAME")
    parser.add_argument("--controls", type=int, default=0, metavar="N")
    parser.add_argument("--resume", type=Path, metavar="DIR")
    parser.add_argument("--replay", type=Path, metavar="DIR")
    parser.add_argument("--effects", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--table", type=Path, metavar="FILE")
    asked = parser.parse_args()
    named = asked.cases is not None or asked.scenarios is not None
    if not (named or asked.random or asked.draws or asked.controls or asked.replay or asked.effects):
        parser.error("give --random, --draws, --cases, --scenarios, --controls or --replay")
    return asked


def _draws(asked: argparse.Namespace) -> list[Draw]:
    from benchmarks.detection.draws import random_draws, read_draws

    draws = [*_named(CASES, asked.cases), *_named(SCENARIOS, asked.scenarios)]
    draws += read_draws(asked.draws) if asked.draws else ()
    draws += random_draws(asked.random, asked.seed)
    # Half of them with two busy loops beside.
    draws += [Draw(id=f"clean-{number + 1}", busy=number % 2 == 1) for number in range(asked.controls)]
    return draws


def _named(path: Path, names: Sequence[str] | None) -> Iterable[Draw]:
    if names is None:
        return ()
    known = {draw.id: draw for draw in read(path)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"{path.name} has no {', '.join(unknown)}; it has: {', '.join(known)}.")
    return [known[name] for name in names] if names else known.values()


def _run(draws: Iterable[Draw], kept: Path | None) -> Iterable[Record]:
    with tempfile.TemporaryDirectory(prefix="detection-") as folder:
        records = Records(kept or Path(folder) / "records")
        for record in run_all(draws, Path(folder) / "sandbox", records):
            tell(record)
            yield record


def _effects() -> int:
    with tempfile.TemporaryDirectory(prefix="detection-") as folder:
        seen = 0
        for fault, text, good in effects_of(faults(), Path(folder) / "sandbox"):
            seen += good
            print(f"{'effect' if good else 'NO EFFECT'}  {fault.id}: {text}", flush=True)
    print(f"{seen} of {len(faults())} faults have an effect")
    return 0 if seen == len(faults()) else 1


def _replayed(folder: Path) -> Iterable[Record]:
    records = Records(folder)
    # What is expected of a case may have been mended since.
    known = {draw.id: draw for path in (CASES, SCENARIOS) for draw in read(path)}
    for kept in records.read():
        if kept.error:
            yield kept
            continue
        record = records.again(kept, known.get(kept.draw.id))
        tell(record)
        yield record


if __name__ == "__main__":
    sys.exit(main())
