"""Great Expectations takes seconds to import: that is begun where a process waits anyway, so that
whoever needs it finds it done. Not while something is measured."""

import os
import threading

_begun = threading.Event()


def warm_up() -> None:
    """Begin once, beside whatever else happens in this process; an import that fails is told of
    where it is needed."""
    if _begun.is_set():
        return
    _begun.set()
    threading.Thread(target=_import, name="warm-up", daemon=True).start()


def _import() -> None:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    try:
        import great_expectations  # noqa: F401
    except ImportError:
        return
