"""What all states have in common."""

from collections.abc import Callable

Undo = Callable[[], None]


class StateError(ValueError):
    """No such state, or it can't be set with these values."""
