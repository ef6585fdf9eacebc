"""`python -m hokusai_validation.links --config FILE --api HOST:PORT`."""

import argparse
import sys
from pathlib import Path

from hokusai_validation.errors import HokusaiError
from hokusai_validation.links.config import read_config
from hokusai_validation.links.program import run

DEFAULT_API = "127.0.0.1:8474"


def main(arguments: list[str] | None = None) -> int:
    """Run the program; the exit status is 0 when it was told to end, 2 or 3 when it could not run."""
    parser = argparse.ArgumentParser(
        prog="hokusai-validation links", description="Links that faults can be put on."
    )
    parser.add_argument("--config", type=Path, help="links, as a JSON list (Toxiproxy's form)")
    parser.add_argument("--api", default=DEFAULT_API, help=f"where the API listens (default {DEFAULT_API})")
    options = parser.parse_args(arguments)
    try:
        configs = read_config(options.config) if options.config else ()
        run(configs, options.api, ready=_say)
    except HokusaiError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def _say(address: str) -> None:
    print(f"links: API on http://{address}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
