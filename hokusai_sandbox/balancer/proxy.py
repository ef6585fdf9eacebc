"""One client connection after the other: read a request, choose its target, pass both ways."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from hokusai_sandbox.balancer.http import (
    HEAD_LIMIT_BYTES,
    PIECE_BYTES,
    BadMessage,
    Head,
    body_of,
    read_head,
)
from hokusai_sandbox.balancer.routing import Table, TargetState

CONNECT_TIMEOUT_S = 3.0
IDLE_TIMEOUT_S = 60.0
KEPT_PER_TARGET = 64
LINGER_S = 2.0
KEPT_S = 30.0  # below what the services keep their side open
REASONS = {
    301: "Moved Permanently",
    302: "Found",
    400: "Bad Request",
    404: "Not Found",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass
class Upstream:
    """A connection to a target."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    kept_at: float = 0.0
    fresh: bool = True


@dataclass
class Pool:
    """Kept connections to the targets."""

    kept: dict[tuple[str, int], list[Upstream]] = field(default_factory=dict)

    async def take(self, target: TargetState, *, fresh: bool = False) -> Upstream:
        """A connection, a kept one where there is a usable one.

        Raises OSError, TimeoutError."""
        kept = self.kept.get((target.host, target.port), [])
        while kept and not fresh:
            found = kept.pop()
            usable = not (found.reader.at_eof() or found.writer.is_closing())
            if usable and time.monotonic() < found.kept_at + KEPT_S:
                found.fresh = False
                return found
            found.writer.close()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(target.host, target.port, limit=HEAD_LIMIT_BYTES)
        return Upstream(reader, writer)

    def give_back(self, target: TargetState, upstream: Upstream) -> None:
        """Keep it for the next request."""
        kept = self.kept.setdefault((target.host, target.port), [])
        if len(kept) >= KEPT_PER_TARGET:
            upstream.writer.close()
            return
        upstream.kept_at = time.monotonic()
        kept.append(upstream)


class Proxy:
    """The HTTPS listener: routes by the table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.pool = Pool()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client connection to its end."""
        peer = writer.get_extra_info("peername")
        client = str(peer[0]) if peer else "unknown"
        try:
            while True:
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    request = await read_head(reader)
                if request is None or not await self._one(request, client, reader, writer):
                    break
        except BadMessage:
            _say(writer, 400, keep=False)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            with contextlib.suppress(Exception):
                writer.close()

    async def _one(
        self, request: Head, client: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Serve one request; whether the connection goes on."""
        if request.chunked and request.get("content-length"):
            raise BadMessage("both content-length and transfer-encoding")
        has_body = request.chunked or bool(request.length)
        host = (request.get("host") or "").rsplit(":", 1)[0]
        action = self.table.route(host, request.second.split("?", 1)[0])
        group = None if action is None or not action.groups else self.table.groups.get(action.groups[0])
        target = None if group is None else group.next()
        if target is None:
            _say(writer, action.status if action and action.kind == "fixed-response" else 503, keep=False)
            await writer.drain()
            return False
        extra = (
            ("x-forwarded-for", client),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "443"),
            ("connection", "keep-alive"),
        )
        head = request.passed_on(extra)
        for attempt in (0, 1):
            try:
                upstream = await self.pool.take(target, fresh=attempt > 0)
            except (OSError, TimeoutError):
                _say(writer, 502, keep=not has_body)
                await writer.drain()
                return not has_body and request.keeps
            try:
                outcome = await self._exchange(request, head, has_body, upstream, reader, writer)
            except (OSError, BadMessage, TimeoutError) as error:
                upstream.writer.close()
                # A kept connection that the target had closed meanwhile: nothing was answered, and
                # without a body nothing was consumed, so a fresh one may be tried.
                if isinstance(error, _NoAnswer) and not upstream.fresh and not has_body and attempt == 0:
                    continue
                if isinstance(error, _NoAnswer):
                    _say(writer, 504 if isinstance(error.__cause__, TimeoutError) else 502, keep=False)
                    await writer.drain()
                if has_body:
                    await _linger(reader)
                return False
            except BaseException:
                upstream.writer.close()
                raise
            if not outcome.client_keeps and has_body:
                await _linger(reader)
            if outcome.upstream_keeps:
                self.pool.give_back(target, upstream)
            else:
                upstream.writer.close()
            return outcome.client_keeps and request.keeps
        return False

    async def _exchange(
        self,
        request: Head,
        head: bytes,
        has_body: bool,
        upstream: Upstream,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> "_Outcome":
        try:
            upstream.writer.write(head)
        except RuntimeError as error:  # uvloop's word for a connection that was broken off meanwhile
            raise _NoAnswer("broken off before it was asked") from error
        sending: asyncio.Task[None] | None = None
        if has_body:
            sending = asyncio.create_task(_send_body(reader, request, upstream.writer))
        try:
            answer = await _answer_head(upstream.reader, writer)
            bodiless = request.first == "HEAD" or answer.second in ("204", "304")
            framed = answer.chunked or answer.length is not None
            until_close = not bodiless and not framed
            # One that answers before all was sent (a limit, say) reads no more of it.
            client_keeps = request.keeps and not until_close and _sent(sending)
            extra = () if client_keeps else (("connection", "close"),)
            writer.write(answer.passed_on(extra))
            if not bodiless:
                async for piece in body_of(upstream.reader, answer, until_close=True):
                    writer.write(piece)
                    if len(piece) > 8192:
                        await writer.drain()
            await writer.drain()
            sent = _sent(sending)
            return _Outcome(client_keeps and sent, answer.keeps and not until_close and sent)
        finally:
            if sending is not None:
                if not sending.done():
                    sending.cancel()
                with contextlib.suppress(BaseException):
                    await sending


@dataclass(frozen=True)
class _Outcome:
    client_keeps: bool
    upstream_keeps: bool


class _NoAnswer(BadMessage):
    """The target gave no answer at all."""


async def _answer_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Head:
    while True:
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                answer = await read_head(reader)
        except (OSError, TimeoutError, BadMessage) as error:
            raise _NoAnswer("no answer") from error
        if answer is None:
            raise _NoAnswer("closed without an answer")
        if not answer.second.startswith("1"):
            return answer
        writer.write(answer.passed_on())  # 100 Continue and its like


def _sent(sending: "asyncio.Task[None] | None") -> bool:
    return sending is None or (sending.done() and sending.exception() is None)


async def _linger(reader: asyncio.StreamReader) -> None:
    """Read on what a client still sends: else it would be reset before it has read its answer."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while await reader.read(PIECE_BYTES):
                pass


async def _send_body(reader: asyncio.StreamReader, request: Head, writer: asyncio.StreamWriter) -> None:
    async for piece in body_of(reader, request, until_close=False):
        writer.write(piece)
        await writer.drain()


def _say(writer: asyncio.StreamWriter, status: int, *, keep: bool, location: str | None = None) -> None:
    """An answer of the balancer's own, in the form of AWS's."""
    title = f"{status} {REASONS.get(status, 'Status')}"
    body = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center></body>\r\n</html>\r\n"
    lines = [
        f"HTTP/1.1 {title}",
        "Server: awselb/2.0",
        "Content-Type: text/html",
        f"Content-Length: {len(body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
    ]
    if location is not None:
        lines.append(f"Location: {location}")
    writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1"))


class Redirect:
    """The HTTP listener: everything is sent to HTTPS, as the registered action says."""

    def __init__(self, table: Table, https_port: int) -> None:
        self._table = table
        self._https_port = https_port

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client connection to its end."""
        try:
            while True:
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    request = await read_head(reader)
                if request is None:
                    break
                host = (request.get("host") or "127.0.0.1").rsplit(":", 1)[0]
                path, _, query = request.second.partition("?")
                keep = request.keeps and not request.chunked and not request.length
                balancer = self._table.of(host)
                redirect = None if balancer is None else balancer.redirect
                if redirect is None:
                    _say(writer, 503, keep=keep)
                else:
                    location = redirect.location(host, path, query, self._https_port)
                    _say(writer, redirect.status, keep=keep, location=location)
                await writer.drain()
                if not keep:
                    break
        except BadMessage:
            _say(writer, 400, keep=False)
        except (OSError, TimeoutError):
            pass
        finally:
            writer.close()
