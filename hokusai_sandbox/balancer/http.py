"""HTTP/1.1 as a proxy needs it: heads parsed, bodies passed on piece by piece as they are framed.

Our own, because servers and clients of libraries hide what a balancer must show: a body that is cut, a connection
that is kept or reset, a head that is passed on as it came."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

HEAD_LIMIT_BYTES = 64 * 1024
PIECE_BYTES = 64 * 1024
Headers = list[tuple[str, str]]
# Only for one connection, never passed on (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"})


class BadMessage(Exception):
    """What was sent is not HTTP, or is framed in an ambiguous way."""


@dataclass(frozen=True)
class Head:
    """The first line's three parts and the headers, names in lower case."""

    first: str
    second: str
    third: str
    headers: Headers

    def get(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        coding = self.get("transfer-encoding")
        return coding is not None and coding.lower().endswith("chunked")

    @property
    def length(self) -> int | None:
        """The body's length where it is given.

        Raises BadMessage when it is no number, or given twice."""
        values = {value for key, value in self.headers if key == "content-length"}
        if not values:
            return None
        if len(values) > 1 or not next(iter(values)).isdigit() or self.get("transfer-encoding"):
            raise BadMessage("content-length is ambiguous")
        return int(next(iter(values)))

    @property
    def keeps(self) -> bool:
        """Whether its sender keeps the connection."""
        said = (self.get("connection") or "").lower()
        version = self.third if self.third.startswith("HTTP/") else self.first
        return "close" not in said and (version != "HTTP/1.0" or "keep-alive" in said)

    def passed_on(self, extra: Sequence[tuple[str, str]] = ()) -> bytes:
        """The head for the next hop: without what is for this connection only."""
        drop = HOP_BY_HOP | {name for name, _ in extra}
        said = self.get("connection")
        if said is not None:
            drop |= {item.strip().lower() for item in said.split(",")}
        lines = [f"{self.first} {self.second} {self.third}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name not in drop]
        lines += [f"{name}: {value}" for name, value in extra]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head; None when the peer has closed before one.

    Raises BadMessage."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise BadMessage("the connection ended in a head") from None
        return None
    except asyncio.LimitOverrunError:
        raise BadMessage(f"a head longer than {HEAD_LIMIT_BYTES} bytes") from None
    text = raw.decode("latin-1")
    first, *lines = text[:-4].split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) == 2 and first.startswith("HTTP/"):
        parts.append("")
    if len(parts) != 3:
        raise BadMessage("the first line is not HTTP")
    headers: Headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadMessage("a header line is not HTTP")
        headers.append((name.lower(), value.strip()))
    return Head(parts[0], parts[1], parts[2], headers)


async def body_of(reader: asyncio.StreamReader, head: Head, *, until_close: bool) -> AsyncIterator[bytes]:
    """The body's bytes with their framing, in pieces. `until_close`: a body without a length goes
    on to the end of the connection (answers only).

    Raises BadMessage."""
    try:
        if head.chunked:
            async for piece in _chunks(reader):
                yield piece
            return
        length = head.length
        if length is None:
            while until_close and (piece := await reader.read(PIECE_BYTES)):
                yield piece
            return
        while length > 0:
            piece = await reader.read(min(length, PIECE_BYTES))
            if not piece:
                raise BadMessage("the connection ended in a body")
            length -= len(piece)
            yield piece
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        raise BadMessage("the connection ended in a chunked body, or its framing is wrong") from None


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";", 1)[0], 16)
        if size < 0:
            raise ValueError("negative chunk")
        yield line
        if size == 0:
            while True:  # trailers, up to the empty line
                line = await reader.readuntil(b"\r\n")
                yield line
                if line == b"\r\n":
                    return
        left = size + 2
        while left > 0:
            piece = await reader.readexactly(min(left, PIECE_BYTES))
            left -= len(piece)
            yield piece
