"""How long the definitions of many targets take: `python -m benchmarks.definitions_load [--targets 100] [--json]`.

Writes as many target files as asked to a folder of its own, and loads them as Dagster does when a
location is (re)loaded: the definitions, and the repository that the webserver and the daemon ask it for.
Prints the seconds of processor time and by the wall clock, imports apart."""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = """name = "target-{0:03}"
[endpoints]
api = "https://api-{0:03}.example.com"
registry = "https://registry-{0:03}.example.com"
[aws]
region = "us-east-1"
cluster = "cluster-{0:03}"
[aws.services.api]
service = "api"
"""


@dataclass(frozen=True)
class Measured:
    """Of one load. Seconds of processor time but for `wall_s`."""

    targets: int
    assets: int
    jobs: int
    imports_s: float
    build_s: float
    repository_s: float
    wall_s: float


def write(folder: Path, number: int) -> None:
    """That many target files."""
    for index in range(number):
        (folder / f"target-{index:03}.toml").write_text(FILE.format(index), encoding="utf-8")


def measure(folder: Path) -> Measured:
    """Load what lies in the folder."""
    begun, wall = time.process_time(), time.monotonic()
    from hokusai_validation.definitions import defs

    imported = time.process_time()
    os.environ["HOKUSAI_TARGETS_DIR"] = str(folder)
    definitions = defs()
    built = time.process_time()
    repository = definitions.get_repository_def()
    jobs = repository.get_all_jobs()
    done = time.process_time()
    return Measured(
        targets=len(list(folder.glob("*.toml"))),
        assets=len(repository.asset_graph.materializable_asset_keys),
        jobs=len(jobs),
        imports_s=round(imported - begun, 2),
        build_s=round(built - imported, 2),
        repository_s=round(done - built, 2),
        wall_s=round(time.monotonic() - wall, 2),
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="definitions-") as folder:
        write(Path(folder), options.targets)
        done = measure(Path(folder))
    if options.json:
        print(json.dumps(asdict(done)))
    else:
        print(
            f"{done.targets} targets, {done.assets} assets, {done.jobs} jobs: imports {done.imports_s} s,"
            f" definitions {done.build_s} s, repository {done.repository_s} s of processor time;"
            f" {done.wall_s} s by the clock"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
