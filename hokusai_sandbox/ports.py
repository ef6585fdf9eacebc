"""Free ports, kept free: a port that was chosen stays bound (never listening) while the sandbox
lives, so that nobody else gets it while the service that owns it is dead.

On Linux a second socket may bind and listen on the same port when both have SO_REUSEADDR; a
connection to a port that is only bound is refused, which is what a dead process looks like.
"""

import socket
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from hokusai_validation.errors import PortTaken

LOOPBACK = "127.0.0.1"


class Reservations:
    """Ports by name, held until closed. `wanted` fixes some of them."""

    def __init__(self, names: Iterable[str], wanted: Mapping[str, int] | None = None) -> None:
        self._sockets: list[socket.socket] = []
        self.ports: dict[str, int] = {}
        try:
            for name in names:
                self.ports[name] = self._reserve(name, (wanted or {}).get(name, 0))
        except BaseException:
            self.close()
            raise

    def _reserve(self, name: str, port: int) -> int:
        for _ in range(20):
            holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._sockets.append(holder)
            try:
                # Bound without SO_REUSEADDR, so that it can't coincide with another reservation;
                # the option is set after, which lets the service itself bind.
                holder.bind((LOOPBACK, port))
            except OSError as error:
                raise PortTaken(
                    f"Port {port} of 127.0.0.1, wanted for the sandbox's {name}, is in use:"
                    f" free it or choose another ({error.strerror})."
                ) from None
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found = int(holder.getsockname()[1])
            if _udp_free(found):
                return found
        raise PortTaken("No free port was found on 127.0.0.1 in 20 attempts.")

    def close(self) -> None:
        """Give the ports back."""
        for holder in self._sockets:
            holder.close()
        self._sockets.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _udp_free(port: int) -> bool:
    """The DNS server needs the same number for UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
