"""A child process that runs the suite again and again: one request a line (JSON: a target file, a
file for the rows, pytest's further arguments), one line back when it is done. It saves the second
that importing everything takes, and keeps pytest runs out of the pytest that tests them."""

import json
import sys

import pytest


def main() -> int:
    """Serve requests until standard input ends."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what pytest prints must not be taken for an answer
    for line in sys.stdin:
        request = json.loads(line)
        status = pytest.main(
            [
                *request["files"],
                f"--target={request['target']}",
                f"--rows={request['rows']}",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:terminal",
                *request["arguments"],
            ]
        )
        answers.write(json.dumps({"status": int(status)}) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
