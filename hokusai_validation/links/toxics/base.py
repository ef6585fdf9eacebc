"""What a toxic is: something wrong with the connections of a link, while it is on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pydantic import JsonValue

    from hokusai_validation.links.connection import Connection, Stream

STREAMS = ("upstream", "downstream")
MAX_ATTRIBUTE = 1 << 40


class ToxicInvalid(ValueError):
    """A toxic that the program can't make: an unknown attribute or a value out of range."""


@dataclass
class Chunk:
    """Bytes on their way. `at` is the loop time at which they may go on."""

    data: bytes
    at: float


Send = Callable[[Chunk], Awaitable[None]]


class Toxic:
    """Base of all. A subclass states its `type` and `defaults` and overrides what it needs.

    Attributes are whole numbers, units as Toxiproxy documents them (ms unless said otherwise)."""

    type: ClassVar[str]
    defaults: ClassVar[Mapping[str, int]] = {}
    shapes: ClassVar[bool] = False  # changes or delays bytes: `shape` is called for each chunk
    fills_backlog: ClassVar[bool] = False  # new connections wait for ever
    swallows: ClassVar[bool] = False  # nothing of its stream arrives

    def __init__(
        self,
        *,
        name: str,
        stream: str = "downstream",
        toxicity: float = 1.0,
        attributes: "Mapping[str, JsonValue] | None" = None,
        lease: str | None = None,
    ) -> None:
        self.name = name
        self.stream = stream
        self.toxicity = toxicity
        self.lease = lease
        self.attributes: dict[str, int] = dict(self.defaults)
        self.removed = asyncio.Event()
        self.update(attributes or {})

    def update(self, attributes: "Mapping[str, JsonValue]") -> None:
        """Change some attributes.

        Raises ToxicInvalid."""
        changed: dict[str, int] = {}
        for key, value in attributes.items():
            if key not in self.defaults:
                known = ", ".join(self.defaults) or "none"
                raise ToxicInvalid(f"toxic {self.type} has no attribute {key!r}; it has: {known}")
            if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
                raise ToxicInvalid(f"attribute {key!r} of toxic {self.type} must be a number, not {value!r}")
            if not 0 <= value <= MAX_ATTRIBUTE:
                raise ToxicInvalid(f"attribute {key!r} of toxic {self.type} must be 0 or more, not {value!r}")
            changed[key] = int(value)
        self.attributes.update(changed)

    def describe(self) -> "dict[str, JsonValue]":
        """As Toxiproxy's API shows it, and its lease."""
        shown: dict[str, JsonValue] = {
            "name": self.name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": self.toxicity,
            "attributes": dict(self.attributes),
        }
        return shown | ({"lease": self.lease} if self.lease else {})

    async def wait_s(self, seconds: float) -> None:
        """Sleep, but no longer than the toxic is on."""
        if seconds <= 0 or self.removed.is_set():
            return
        try:
            async with asyncio.timeout(seconds):
                await self.removed.wait()
        except TimeoutError:
            pass

    def admit(self) -> bool:
        """Whether a new connection is let in; one that is not is reset."""
        return True

    def attach(self, connection: "Connection") -> None:
        """Called for each connection that the toxic begins to hold for."""

    def detach(self, connection: "Connection") -> None:
        """Called when the toxic ends. A connection that it damaged can't go on as if nothing was."""
        if self in connection.damaged_by:
            connection.reset()

    async def shape(self, chunk: Chunk, stream: "Stream", send: Send) -> None:
        """Pass a chunk on, later, in pieces, changed, or not at all."""
        await send(chunk)

    async def at_end(self, stream: "Stream") -> None:
        """Called before the end of a stream is passed on."""
