"""What all pages share: one Jinja environment, in which no value is put out unescaped, and their files."""

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from hokusai_validation.reporting.escape import plain

if TYPE_CHECKING:
    import jinja2


def environment() -> "jinja2.Environment":
    """Autoescape, no undefined names; every value that is put out is made plain, so that no place can
    forget it."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("hokusai_validation.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: plain(value) if type(value) is str else value,
    )


@cache
def text(name: str) -> str:
    """A file of the templates' folder."""
    folder = resources.files("hokusai_validation.reporting").joinpath("templates")
    return folder.joinpath(name).read_text("utf-8")
