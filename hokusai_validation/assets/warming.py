"""Great Expectations takes seconds to import: that is begun while the first phase waits for its suite
process, so that `aggregate` finds it done. Not during phases in which something is measured."""

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
