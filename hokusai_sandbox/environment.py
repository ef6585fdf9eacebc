"""The environment of the sandbox's processes: made from nothing, so that no credential and no
setting of the caller's gets in."""

import importlib.util
import os
import sys
from pathlib import Path

KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "HOKUSAI_SANDBOX_CACHE", "XDG_CACHE_HOME")


def base_environment(home: Path) -> dict[str, str]:
    """What every process gets. Byte code stays on: without it every start takes seconds longer."""
    values = {name: os.environ[name] for name in KEPT if name in os.environ}
    values.setdefault("PATH", os.defpath)
    values |= {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONWARNINGS": "ignore",
        "AWS_EC2_METADATA_DISABLED": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "NO_PROXY": "*",
    }
    prefix = _byte_code_prefix()
    if prefix is not None:
        values["PYTHONPYCACHEPREFIX"] = str(prefix)
    return values


def _byte_code_prefix() -> Path | None:
    """A folder for byte code where it is neither beside the installed sources nor can get there."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or spec.origin is None:
        return None
    if Path(importlib.util.cache_from_source(spec.origin)).is_file():
        return None
    if os.access(Path(spec.origin).parent, os.W_OK):
        return None
    from hokusai_sandbox.folders import cache_folder

    return cache_folder() / f"pycache-{sys.implementation.cache_tag}"
