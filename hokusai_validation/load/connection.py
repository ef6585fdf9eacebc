"""One keep-alive connection: sends a request, finds the end of its answer, and says when that was.

An answer that has the same head and the same length as one before it that was whole in one piece
is whole itself: the head alone decides how long a message is. So the parser sees an answer only
when its head is a new one, or it comes in pieces; a test compares the two ways on random answers.
"""

import asyncio
import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from hokusai_validation.load.recorder import Recorder
    from hokusai_validation.load.run import Run

HEAD_LIMIT_BYTES = 64 * 1024
IDLE_CLOSE_S = 0.5  # servers keep idle connections for longer than this; see connection_lost
_LENGTH = re.compile(rb"\r?\n(content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)

_clock = time.perf_counter
_os_write = os.write


class Connection(asyncio.Protocol):
    """Belongs to a `Run`, which is told of every answer, failure and loss."""

    __slots__ = (
        "_body_bytes", "_complete", "_fd", "_head_parts", "_headers_done", "_idle_s", "_idle_since",
        "_interim", "_keep", "_messages", "_parser", "_run", "_same_head", "_same_length", "_status",
        "_transport", "busy", "got_byte", "intended", "log", "open", "received_bytes", "recorder",
        "request", "sent", "which",
    )  # fmt: skip

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._parser = httptools.HttpResponseParser(self)
        self._same_head, self._same_length = b"", -1
        self._fd = -1
        self._idle_since = self._idle_s = 0.0
        self.open = self.busy = False
        self.which = -1
        self.intended = self.sent = 0.0
        self.request = b""
        self._new_message()

    def _new_message(self) -> None:
        self._messages = self._complete = self._interim = 0
        self._headers_done = self._keep = False
        self._head_parts: list[bytes] = []
        self._status = self._body_bytes = self.received_bytes = 0
        self.got_byte = False

    # --- sending ---

    def send(self, which: int, recorder: "Recorder", request: bytes, intended: float) -> None:
        """Ask endpoint `which`; it was due at `intended`."""
        if which != self.which:
            self.which, self.recorder, self.request = which, recorder, request
            self._same_length = -1  # the log that it leads to is another endpoint's
        self.busy = True
        self.intended = intended
        self.sent = now = _clock()
        self._idle_s = now - self._idle_since
        self._write(request)

    def _write(self, request: bytes) -> None:
        """At once where possible: a transport may keep what it is given until the loop's next
        round, and `sent` would then be too early."""
        if self._fd < 0:
            self._transport.write(request)
            return
        written = 0
        with suppress(OSError):  # full, or broken: the transport waits, or finds out and says so
            written = _os_write(self._fd, request)
        if written < len(request):
            self._fd = -1
            self._transport.write(request[written:])

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if transport.get_extra_info("ssl_object") is None:
            self._fd = transport.get_extra_info("socket").fileno()
        self.open = True
        self._idle_since = _clock()

    def data_received(self, data: bytes) -> None:
        if self.busy and len(data) == self._same_length and data.startswith(self._same_head):
            now = _clock()
            log = self.log
            log.append(self.intended)
            log.append(self.sent)
            log.append(now)
            if self._run.inline:
                self.intended = now
                self.sent = _clock()
                self._write(self.request)
            else:
                self.busy = False
                self._idle_since = now
                self._run.answered(self, now)
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        now = _clock()
        if not self.busy:
            # Some servers say 408 before they close an idle connection; nobody asked for anything.
            self._run.outcome.replaced += 1
            self.abort()
            return
        self.got_byte = True
        self.received_bytes += len(data)
        if self.received_bytes > self._run.answer_limit_bytes:
            self._run.failed(self, "too_large", now)
            return
        if not self._headers_done:
            self._head_parts.append(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._run.failed(self, "protocol", now)
            return
        whole = self._complete == 1 and self._messages == 1 + self._interim
        if whole:
            self._answered(data, now)
        elif self._complete or (
            not self._headers_done and sum(map(len, self._head_parts)) > HEAD_LIMIT_BYTES
        ):
            self._run.failed(self, "protocol", now)

    def _answered(self, data: bytes, now: float) -> None:
        self.log = log = self.recorder.log(self._status)
        log.append(self.intended)
        log.append(self.sent)
        log.append(now)
        self.busy = False
        self._idle_since = now
        self._same_length = -1  # what it leads to is the log of another status
        if not self._keep:
            self.close()
        elif self._run.reuse_answers and self.received_bytes == len(data) and not self._interim:
            end = data.find(b"\r\n\r\n") + 4
            if end > 3 and len(data) - end == self._body_bytes:
                self._same_head, self._same_length = data[:end], len(data)
        self._new_message()
        self._run.answered(self, now)

    def eof_received(self) -> bool:
        return False  # connection_lost follows

    def connection_lost(self, exc: Exception | None) -> None:
        while_idle = self.open and not self.busy
        self.open, self._fd = False, -1
        now = _clock()
        if self.busy:
            if exc is None and self._ends_with_connection():
                self._status, self._keep = self._parser.get_status_code(), False
                self._answered(b"", now)
            elif not self.got_byte and self._idle_s >= IDLE_CLOSE_S:
                # It had lain idle, and the close crossed the request on its way: not an error.
                # A server that breaks connections under load has none that idle for so long.
                self.busy = False
                self._run.crossed(self)
            else:
                self._run.failed(self, "reset", now)
        self._run.lost(self, while_idle=while_idle)

    def _ends_with_connection(self) -> bool:
        """Whether the answer was one without a length, which the end of the connection ends."""
        return self._headers_done and not self._complete and not _LENGTH.search(b"".join(self._head_parts))

    def close(self) -> None:
        """After the last answer: orderly."""
        self.open, self._fd, self._same_length = False, -1, -1
        self._transport.close()

    def abort(self) -> None:
        """At once."""
        self.busy = False
        self.open, self._fd, self._same_length = False, -1, -1
        self._transport.abort()

    # --- the parser's side ---

    def on_message_begin(self) -> None:
        self._messages += 1

    def on_headers_complete(self) -> None:
        self._headers_done = True

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            self._interim += 1  # "100 Continue" and the like: the answer is still to come
            self._headers_done = False
            self._head_parts.clear()
            return
        self._complete += 1
        self._status = status
        self._keep = self._parser.should_keep_alive()
