"""A command as it is typed, run in this process: for tests of what it says, leaves and exits with. To start
one takes seconds of imports; what is about the process itself (signals, warnings of an import, what is left
behind) starts one."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from hokusai_validation.cli import main

PROGRAM = "hokusai-validation"


def typed(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """It, in a folder and with nothing of ours in its environment but what is given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOKUSAI")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # of the processes that it starts
    changed = {**inherited, "DAGSTER_HOME": str(folder / "home"), **environment}
    out, err = io.StringIO(), io.StringIO()
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with (
            contextlib.chdir(folder),
            patch.dict(os.environ, changed, clear=True),
            patch.object(sys, "argv", [PROGRAM, *words]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    finally:
        signal.signal(signal.SIGTERM, terminated)
    status = ended.value.code
    assert isinstance(status, int)
    return subprocess.CompletedProcess((PROGRAM, *words), status, out.getvalue(), err.getvalue())
