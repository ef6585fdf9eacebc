"""`python -m hokusai_sandbox`: one sandbox, from start to end. Started by `stack.py`,
which reads how it goes from the pipe whose number is in `SANDBOX_REPORT`."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from hokusai_sandbox import folders
from hokusai_sandbox.keeper import clear, keep
from hokusai_validation import file_lock
from hokusai_validation.errors import HokusaiError, StackError
from hokusai_validation.store import scratch


class Report:
    """Lines of JSON to whoever started us; nobody may be reading any more."""

    def __init__(self) -> None:
        number = os.environ.get("SANDBOX_REPORT")
        self._file = os.fdopen(int(number), "w") if number else None

    def say(self, **values: Any) -> None:
        """One line."""
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError):
                self._file.write(json.dumps(values, default=str) + "\n")
                self._file.flush()

    def close(self) -> None:
        """Nothing more comes."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def main() -> int:
    """Run the sandbox until it is told to end. 3: it did not come up."""
    parser = argparse.ArgumentParser(prog="hokusai-validation sandbox (supervisor)")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--scenario")
    parser.add_argument("--attached", action="store_true", help="end when the parent process ends")
    parser.add_argument("--port", action="append", default=[], metavar="NAME=PORT")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="start no other process")
    options = parser.parse_args()
    parent = os.getppid() if options.attached else None
    report = Report()
    directory = options.dir.resolve()
    lock = _locked(directory)
    if lock is None:
        report.say(
            error=f"A sandbox is already up in {directory}: use it, or end it (`hokusai-validation sandbox down`)."
        )
        return 3
    _clear_leftovers(directory)
    run_folder = folders.new_run_folder()
    leftovers = tuple(directory / name for name in LEFTOVERS)
    keep(run_folder, leftovers, parent=parent)
    ports = dict(_port(item) for item in options.port)
    try:
        from hokusai_sandbox.run import Wanted, run

        wanted = Wanted(options.scenario, ports, frozenset(options.only))
        return asyncio.run(run(directory, run_folder, wanted, report.say, report.close))
    except HokusaiError as error:
        report.say(error=str(error), kind=type(error).__name__)
        return error.exit_status
    except Exception as error:
        report.say(error=f"The sandbox's supervisor failed: {type(error).__name__}: {error}.")
        raise
    finally:
        report.close()
        clear(run_folder, leftovers)  # the keeper does it too, but it may be the one that was killed


LEFTOVERS = ("status.json", "target.toml", "secrets.env", "ca.pem")


def _port(text: str) -> tuple[str, int]:
    name, _, port = text.partition("=")
    return name, int(port)


def _locked(directory: Path) -> TextIO | None:
    """Hold the folder for as long as this process lives, and its child."""
    handle = (directory / "lock").open("w")
    deadline = time.monotonic() + 3.0  # one that is just ending
    while True:
        if file_lock.taken(handle.fileno()):
            return handle
        if time.monotonic() > deadline:
            handle.close()
            return None
        time.sleep(0.05)


def _clear_leftovers(directory: Path) -> None:
    """Files of a sandbox whose supervisor and keeper were both killed."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        old = Path(json.loads((directory / "status.json").read_text())["run_folder"])
        if old.name.startswith("hokusai-sandbox-"):
            scratch.remove(old)
    for name in LEFTOVERS:
        (directory / name).unlink(missing_ok=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        sys.exit(main())
    except StackError as failed:
        print(failed, file=sys.stderr)
        sys.exit(3)
