"""A deadline for a whole request, kept at the socket: httpx's time-outs are for each read, so a peer
that sends one byte a second would never meet them. The system's resolver has no time-out at all."""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

LOOKUP_LIMIT_S = 3.0

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """What is sent and read inside must be done in `limit_s` seconds, and in those of a block around this
    one; later reads time out."""
    outer = _deadline.get()
    own = time.perf_counter() + limit_s
    token = _deadline.set(own if outer is None else min(own, outer))
    try:
        yield
    finally:
        _deadline.reset(token)


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport over sockets that keep the deadline of `within`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False)
        # httpx has no parameter for this one of httpcore's; the version is locked.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=_Backend(),
        )


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._sockets.connect_tcp(
            host, port, left(timeout, httpcore.ConnectTimeout), local_address, socket_options
        )
        return _Stream(stream)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left_s = left(timeout, httpcore.ReadTimeout)
        try:
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, left_s))
        except httpcore.ConnectTimeout as error:  # connected it is: the handshake was not answered
            raise httpcore.ReadTimeout(str(error)) from error

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def left(timeout: float | None, late: type[Exception]) -> float | None:
    """What is left of the deadline, at most the operation's own time-out.

    Raises `late` when nothing is."""
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    left_s = deadline - time.perf_counter()
    if left_s <= 0:
        raise late("the deadline of the whole request has passed")
    return left_s if timeout is None else min(timeout, left_s)


def looked_up(
    host: str, family: socket.AddressFamily = socket.AF_UNSPEC, *, limit_s: float = LOOKUP_LIMIT_S
) -> tuple[str, ...]:
    """The addresses of a name, in the order of the system's resolver, which is left to itself when it does
    not answer within `limit_s` and the deadline.

    Raises socket.gaierror: EAI_AGAIN then, as the resolver itself would say; TimeoutError where the deadline
    has passed already."""
    wait_s = left(limit_s, TimeoutError)
    answer: queue.SimpleQueue[tuple[str, ...] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
            answer.put(tuple(dict.fromkeys(str(item[4][0]) for item in found)))
        except UnicodeError as error:  # a label that no name can have
            answer.put(socket.gaierror(socket.EAI_NONAME, str(error)))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=ask, name=f"lookup of {host}", daemon=True).start()
    try:
        told = answer.get(timeout=wait_s)
    except queue.Empty:
        raise socket.gaierror(socket.EAI_AGAIN, f"the resolver did not answer within {wait_s:g} s") from None
    if isinstance(told, Exception):
        raise told
    return told
