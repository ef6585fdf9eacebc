"""Whose request it is, as the auth service says."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# These go on as header values, so nothing that could end a header line may be in them.
HeaderSafe = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")]


class Caller(BaseModel):
    """The owner of a valid key. `rate_limit_per_hour` None: not limited."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    user_id: HeaderSafe
    key_id: HeaderSafe
    service_id: str = "platform"
    scopes: tuple[str, ...] = ()
    rate_limit_per_hour: Annotated[int, Field(ge=0)] | None = None
