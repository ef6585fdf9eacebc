"""What it takes to serve many targets: daemon, webserver and code server of `hokusai-validation ui`, watched at
rest: `python -m benchmarks.served_targets [--targets 20] [--minutes 5]`.

Prints the memory that they have together (PSS: what they share is counted once) and whether any was restarted.
No target needs to be up."""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from hokusai_validation_tests.endurance.light import target_file
from hokusai_validation_tests.ui.serving import Served, serving

SAMPLE_S = 5.0
MIB = 2**20


def seen(served: Served) -> Mapping[int, tuple[str, int]]:
    """Of each process by its id: its command line, and its PSS in bytes."""
    root = psutil.Process(served.process.pid)
    found = {}
    for each in [root, *root.children(recursive=True)]:
        with suppress(psutil.Error):
            found[each.pid] = (" ".join(each.cmdline())[-80:], each.memory_full_info().pss)
    return found


def main() -> int:
    """Measure and print; 1 when a process was restarted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        (folder / "targets").mkdir()
        for number in range(options.targets):
            target_file(folder / "targets", f"light-{number:02}", f"http://127.0.0.1:{40_000 + number}")
        with serving(folder, folder / "targets") as served:
            until = time.monotonic() + options.minutes * 60
            first = latest = seen(served)
            most_bytes = 0
            restarted: set[str] = set()
            while time.monotonic() < until:
                time.sleep(SAMPLE_S)
                latest = seen(served)
                most_bytes = max(most_bytes, sum(size for _, size in latest.values()))
                restarted |= {name for pid, (name, _) in latest.items() if pid not in first}
    for name, size in sorted(latest.values(), key=lambda each: -each[1]):
        print(f"{size / MIB:7.0f} MiB  {name}")
    print(
        f"{options.targets} targets, {options.minutes:g} min: {most_bytes / MIB:.0f} MiB PSS at most,"
        f" {len(restarted)} processes begun meanwhile {sorted(restarted) or ''}"
    )
    return 1 if restarted else 0


if __name__ == "__main__":
    sys.exit(main())
