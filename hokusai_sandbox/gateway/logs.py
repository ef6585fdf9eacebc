"""Log lines: one JSON object each on standard error, masked, and never waited for.

A thread writes them, so that a full pipe can't block the event loop; lines beyond the buffer are
dropped and counted.
"""

import json
import logging
import queue
import sys
import threading
from datetime import UTC, datetime
from typing import IO

from pydantic import JsonValue

from hokusai_validation.redaction import Redactor

BUFFER_LINES = 10_000
CLOSE_WAIT_S = 1.0


class Log:
    """The process's log."""

    def __init__(self, instance: str, stream: IO[str] | None = None) -> None:
        self._instance = instance
        self._stream = stream if stream is not None else sys.stderr
        self._lines: queue.Queue[dict[str, JsonValue] | None] = queue.Queue(BUFFER_LINES)
        self._dropped = 0
        self._redactor = Redactor()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def redact(self, text: str) -> str:
        """Mask whatever looks like a secret, as a last line of defence: nothing is meant to hand a
        secret to the log in the first place."""
        return self._redactor.text(text)

    def info(self, event: str, **fields: JsonValue) -> None:
        """Something ordinary happened."""
        self._put("info", event, fields)

    def warning(self, event: str, **fields: JsonValue) -> None:
        """Something failed that the service can live with."""
        self._put("warning", event, fields)

    def error(self, event: str, **fields: JsonValue) -> None:
        """An error in the gateway's own code."""
        self._put("error", event, fields)

    def close(self) -> None:
        """Write what is left, for a second at most."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(CLOSE_WAIT_S)

    def _put(self, level: str, event: str, fields: dict[str, JsonValue]) -> None:
        head: dict[str, JsonValue] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "instance": self._instance,
            "event": event,
        }
        try:
            self._lines.put_nowait(head | fields)
        except queue.Full:
            self._dropped += 1

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._dropped:
                line["lines_dropped_before"], self._dropped = self._dropped, 0
            try:
                self._stream.write(self.redact(json.dumps(line, default=str)) + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                return  # nobody reads any more


class LogHandler(logging.Handler):
    """Brings what libraries log (the HTTP server, asyncio) into the same form."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record on, its exception as one line."""
        error = record.exc_info[1] if record.exc_info else None
        fields: dict[str, JsonValue] = {"logger": record.name, "message": record.getMessage()}
        if error is not None:
            fields["error"] = f"{type(error).__name__}: {error}"
        self._log.warning("library", **fields)
