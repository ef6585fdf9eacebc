"""Bounds for libraries that ask over urllib3 (boto3, MLflow's client), kept at the socket as `deadline` keeps
them for ours: urllib3's time-outs are for each read, and nothing of it limits what is read."""

import io
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from hokusai_validation.bounds import deadline
from hokusai_validation.errors import AnswerTooLarge

if TYPE_CHECKING:
    from botocore.client import BaseClient

Place = tuple[str, int]


@dataclass(frozen=True)
class Bounds:
    """What one request may take: `limit_s` from its first byte to the last of its answer, whose size with
    headers is at most `limit_bytes`. What connections carried is counted in `sent` and `received`, in bytes
    for each (host, port) that was connected to."""

    limit_s: float
    limit_bytes: int
    sent: Counter[Place] = field(default_factory=Counter)
    received: Counter[Place] = field(default_factory=Counter)


class BoundedConnection(HTTPConnection):
    """A connection whose requests keep `bounds`. To be mixed in by `within`."""

    bounds: ClassVar[Bounds]

    def connect(self) -> None:
        self._begin()
        super().connect()
        self.sock: Any = _Socket(self.sock, self)

    def _new_conn(self) -> socket.socket:
        """As urllib3's own, over a look-up that ends."""
        try:
            addresses = deadline.looked_up(
                self._dns_host, limit_s=min(self.left_s(), deadline.LOOKUP_LIMIT_S)
            )
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        failed = OSError(f"{self.host} has no address")
        for address in addresses:
            try:
                return create_connection(
                    (address, self.port),
                    self.left_s(),
                    source_address=self.source_address,
                    socket_options=self.socket_options,
                )
            except OSError as error:
                failed = error
        if isinstance(failed, TimeoutError):
            raise ConnectTimeoutError(self, f"{self.host} took no connection in time") from failed
        raise NewConnectionError(self, f"Failed to establish a new connection: {failed}") from failed

    def putrequest(self, *arguments: Any, **options: Any) -> None:
        self._begin()
        super().putrequest(*arguments, **options)

    def _begin(self) -> None:
        self._deadline = time.perf_counter() + self.bounds.limit_s
        self._received = 0

    def left_s(self) -> float:
        """For the next read or write.

        Raises TimeoutError when nothing is left."""
        left = deadline.left(self._deadline - time.perf_counter(), TimeoutError)
        if left is None or left <= 0:
            raise TimeoutError("the time of the whole request is over")
        return min(left, self.timeout) if isinstance(self.timeout, int | float) else left

    def note_sent(self, size: int) -> None:
        """Bytes that went out."""
        self.bounds.sent[self.host, self.port] += size

    def note_received(self, size: int) -> None:
        """Bytes that came in.

        Raises AnswerTooLarge."""
        self.bounds.received[self.host, self.port] += size
        self._received += size
        if self._received > self.bounds.limit_bytes:
            raise AnswerTooLarge(
                f"{self.host}:{self.port} answered more than {self.bounds.limit_bytes} bytes; reading stopped."
            )


def within(bounds: Bounds, pools: dict[str, Any]) -> None:
    """Let the connection pools of each scheme (as urllib3's `pool_classes_by_scheme` names them) keep the
    bounds, in place."""
    for scheme, pool in pools.items():
        connection = type("Bounded", (BoundedConnection, pool.ConnectionCls), {"bounds": bounds})
        pools[scheme] = type("BoundedPool", (pool,), {"ConnectionCls": connection})


def of_botocore(client: "BaseClient", bounds: Bounds) -> None:
    """Let a boto3 client's requests keep the bounds."""
    # botocore has no public way to its connections; the version is locked. A stand-in has none.
    endpoint = getattr(client, "_endpoint", None)
    if endpoint is not None:
        within(bounds, endpoint.http_session._pool_classes_by_scheme)


class _Socket:
    """A connected socket, plain or of TLS, that keeps the bounds of its connection."""

    def __init__(self, sock: socket.socket, connection: BoundedConnection) -> None:
        self._sock = sock
        self._connection = connection

    def sendall(self, data: bytes | bytearray | memoryview, flags: int = 0) -> None:
        self._sock.settimeout(self._connection.left_s())
        self._sock.sendall(data, flags)
        self._connection.note_sent(memoryview(data).nbytes)

    def makefile(self, mode: str = "rb", buffering: int | None = None) -> io.BufferedReader:
        """What http.client reads an answer by."""
        return io.BufferedReader(_Reader(self._sock, self._connection))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, connection: BoundedConnection) -> None:
        self._sock = sock
        self._stream = sock.makefile("rb", buffering=0)
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._connection.left_s())
        size = self._stream.readinto(buffer)
        self._connection.note_received(size or 0)
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()
