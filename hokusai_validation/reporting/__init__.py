"""Documents that people act on, each format in a file of its own.

`write` puts them all into one folder at once: a reader sees the whole report or none.
"""

from hokusai_validation.reporting.folder import write

__all__ = ["write"]
