"""For faults whose holder knows no leases (a real Toxiproxy, AWS FIS): a process of its own that
waits for the injecting one to end, and takes everything off when that ended without doing so.

    python -m hokusai_validation.chaos.watchdog    # target as JSON on the first line of its input
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from hokusai_validation.chaos.stop import clean
from hokusai_validation.errors import FaultNotApplied, HokusaiError
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target

STARTS = "watching"
DONE = "done"
ENDS_WITHIN_S = 5.0


@contextlib.contextmanager
def watched(target: Target) -> Iterator[None]:
    """Somebody watches over us in the block. The target goes to it without secrets, which it finds
    where we do.

    Raises FaultNotApplied when it can't be started."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "hokusai_validation.chaos.watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        raise FaultNotApplied(f"The watchdog of faults could not be started: {error.strerror}.") from None
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(target.model_dump_json() + "\n")
            process.stdin.flush()
            if process.stdout.readline().strip() != STARTS:
                raise FaultNotApplied("The watchdog of faults ended before anything was put on.")
            yield
        finally:
            with contextlib.suppress(OSError):
                process.stdin.write(DONE + "\n")
                process.stdin.flush()
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> int:
    """Wait; the exit status is 0, or 3 when something could not be taken off."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it outlives what ends its parent
    target = Target.model_validate(json.loads(sys.stdin.readline()))
    print(STARTS, flush=True)
    for line in sys.stdin:
        if line.strip() == DONE:
            return 0
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # our parent's output is gone
        sys.stdout = sys.stderr = nowhere
        try:
            clean(target, Secrets(target))
        except HokusaiError:
            return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
