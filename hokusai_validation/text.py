"""Text of strangers, made such that it can be written: the type of every field that holds some."""

import re
from typing import Annotated

from pydantic import BeforeValidator

_SURROGATES = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """Text that can be written as UTF-8: a lone surrogate (JSON permits it) becomes U+FFFD."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _if_text(value: object) -> object:
    return well_formed(value) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_if_text)]
