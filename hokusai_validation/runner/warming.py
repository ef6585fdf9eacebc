"""Imports that take long, done where it costs nobody time: not while something is measured."""

import contextlib
import importlib
import os
import threading

# What most reading tests come to use; the test processes have it from before they part.
_SHARED = (
    "boto3.session",
    "botocore.auth",
    "botocore.httpsession",
    "s3transfer.manager",
    "psycopg2.extras",
    "redis",
)

_begun: threading.Thread | None = None


def preload() -> None:
    """Import what test processes that are forked from this one will have in common."""
    for name in _SHARED:
        with contextlib.suppress(ImportError):  # told of where it is needed
            importlib.import_module(name)


def warm_up() -> None:
    """Begin with Great Expectations, which takes seconds; once, beside whatever else happens in this process; an import that fails is told of
    where it is needed."""
    global _begun
    if _begun is None:
        _begun = threading.Thread(target=_import, name="warm-up", daemon=True)
        _begun.start()


def warmed_up() -> None:
    """Wait for the end of what was begun."""
    if _begun is not None:
        _begun.join()


def _import() -> None:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    try:
        import great_expectations  # noqa: F401
    except ImportError:
        return
