"""Imports that take long, done where it costs nobody time: not while something is measured."""

import contextlib
import gc
import importlib
import os
import threading
from collections.abc import Mapping

from hokusai_validation.resources.aws import session
from hokusai_validation.result import Phase

# What most reading tests come to use; the test processes have it from before they part.
_SHARED = (
    "boto3.session",
    "botocore.auth",
    "botocore.httpsession",
    "s3transfer.manager",
    "psycopg2.extras",
    "redis",
)

# What some tests of a phase come to use, and takes seconds.
_OF_PHASE: Mapping[Phase, tuple[str, ...]] = {
    Phase.FUNCTIONAL: ("mlflow.tracking", "hypothesis.stateful", "time_machine")
}

_begun: threading.Thread | None = None


def preload_for(phase: Phase) -> None:
    """Import what only tests of this phase will use."""
    _without_analytics()
    for name in _OF_PHASE.get(phase, ()):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # no collection walks it from here on


def preload() -> None:
    """Import what test processes that are forked from this one will have in common."""
    for name in _SHARED:
        with contextlib.suppress(ImportError):  # told of where it is needed
            importlib.import_module(name)
    session.read_ahead()


def warm_up() -> None:
    """Begin with Great Expectations, which takes seconds; once, beside whatever else happens in this process;
    an import that fails is told of where it is needed."""
    global _begun
    if _begun is None:
        # Its modules need each other in circles: two threads that begin with different ones see halves.
        with contextlib.suppress(ImportError):
            importlib.import_module("sqlalchemy.orm")
        _begun = threading.Thread(target=_import, name="warm-up", daemon=True)
        _begun.start()


def _without_analytics() -> None:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


def _import() -> None:
    _without_analytics()
    try:
        import great_expectations  # noqa: F401
    except ImportError:
        return
