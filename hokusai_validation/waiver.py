"""A known failure that a target file accepts; `diagnosis/waivers.py` says what it covers."""

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from hokusai_validation.sections import Section


class Waiver(Section):
    """A known failure that is accepted to the end of a day (UTC): of a `test`, or of a `cause` at a
    `place`. Names are looked up where it is used."""

    test: str | None = None
    cause: str | None = None
    place: str | None = None
    reason: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    until: date

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        given = (self.test is not None, self.cause is not None, self.place is not None)
        if given not in ((True, False, False), (False, True, True)):
            raise ValueError("name a `test`, or a `cause` and its `place`")
        return self

    @property
    def subject(self) -> str:
        """What it accepts."""
        return f"test {self.test}" if self.test is not None else f"{self.cause} at {self.place}"
