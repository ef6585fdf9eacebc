"""What a client of a link meets, seen by being one: a connection, one question, the first answer."""

import contextlib
import socket
import time
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from hokusai_validation.topology import Role

ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
_HTTP = b"GET /health HTTP/1.1\r\nHost: localhost\r\nUser-Agent: hokusai-validation\r\n\r\n"
# PostgreSQL's request for TLS and redis's PING: both are answered without a password.
_POSTGRES = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
_REDIS = b"PING\r\n"
_QUESTIONS = {Role.DATABASE: _POSTGRES, Role.CACHE: _REDIS, Role.QUEUE: _REDIS}


class ProbeOutcome(StrEnum):
    """How it went."""

    ANSWERED = "answered"
    REFUSED = "connection refused"
    CONNECT_TIMED_OUT = "no connection in time"
    RESET = "connection reset"
    CLOSED = "closed without an answer"
    SILENT = "connected, but no answer in time"


@dataclass(frozen=True)
class ProbeResult:
    """One probe. Times in ms from its start; `answer` is what came until it paused or ended."""

    outcome: ProbeOutcome
    connected_ms: float
    answered_ms: float
    ended_ms: float
    answer: bytes = b""

    def __str__(self) -> str:
        return f"{self.outcome} after {self.ended_ms if self.outcome is not ProbeOutcome.ANSWERED else self.answered_ms:.1f} ms"


def question_for(role: Role | None) -> bytes:
    """What every server of a role's protocol answers, without a password."""
    return _HTTP if role is None else _QUESTIONS.get(role, _HTTP)


def reachable(address: str, api_url: str) -> tuple[str, int]:
    """Where we reach a listener that its server shows as `address`: on the server's own host where
    it listens on all."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - read, not bound
        host = urlsplit(api_url).hostname or "127.0.0.1"
    return host, int(port)


def probe(
    address: tuple[str, int], question: bytes = b"", *, limit_s: float = 1.0, quiet_s: float = 0.0
) -> ProbeResult:
    """Connect, ask, and read the first answer; with `quiet_s` everything until nothing came for so
    long. Without a question only connect."""
    started = time.perf_counter()

    def passed_ms() -> float:
        return (time.perf_counter() - started) * 1000

    def left_s() -> float:
        return max(0.001, started + limit_s - time.perf_counter())

    try:
        connection = socket.create_connection(address, timeout=limit_s)
    except ConnectionRefusedError:
        return _end(ProbeOutcome.REFUSED, 0.0, passed_ms())
    except ConnectionResetError:
        return _end(ProbeOutcome.RESET, 0.0, passed_ms())
    except (TimeoutError, OSError):
        return _end(ProbeOutcome.CONNECT_TIMED_OUT, 0.0, passed_ms())
    connected = passed_ms()
    with connection:
        answer, answered = b"", 0.0
        try:
            if not question:
                return ProbeResult(ProbeOutcome.ANSWERED, connected, connected, connected)
            connection.settimeout(left_s())
            connection.sendall(question)
            answer = connection.recv(65536)
            answered = passed_ms()
            while quiet_s and answer and len(answer) < ANSWER_LIMIT_BYTES and passed_ms() < limit_s * 1000:
                connection.settimeout(min(quiet_s, left_s()))
                more = connection.recv(65536)
                if not more:
                    break
                answer += more
        except TimeoutError:
            if not answer:
                return _end(ProbeOutcome.SILENT, connected, passed_ms())
        except OSError:
            if not answer:
                return _end(ProbeOutcome.RESET, connected, passed_ms())
        if not answer:
            return _end(ProbeOutcome.CLOSED, connected, passed_ms())
        return ProbeResult(ProbeOutcome.ANSWERED, connected, answered, passed_ms(), answer)


class Canary:
    """A connection that is there before a fault and watches what becomes of it."""

    def __init__(self, address: tuple[str, int], limit_s: float = 1.0) -> None:
        self._socket = socket.create_connection(address, timeout=limit_s)

    def reset_within(self, limit_s: float) -> bool:
        """Whether the connection is broken within the time."""
        self._socket.settimeout(limit_s)
        try:
            return self._socket.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Give it up."""
        with contextlib.suppress(OSError):
            self._socket.close()


def _end(outcome: ProbeOutcome, connected_ms: float, ended_ms: float) -> ProbeResult:
    return ProbeResult(outcome, connected_ms, 0.0, ended_ms)
