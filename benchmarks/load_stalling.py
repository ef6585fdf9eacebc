"""A server whose answers stand still for the first 100 ms of each second, by the clock.

It takes requests during the stall and answers all of them at its end. One that is stopped and
continued would also have to read them first, 100 one after the other: then the truth would not be what
is worked out from the clock, but that and how fast the server catches up."""

import gc
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

STALL_S = 0.1
PERIOD_S = 1.0
BEGINS_S = 0.0002  # into each second: at whole milliseconds the kernel's clock tick would come first
SPIN_S = 0.005  # epoll rounds to whole milliseconds: the last ones are spent asking again and again
_END = b"\r\n\r\n"


def stalled_for(at: float) -> float:
    """How long a request that arrives at `at` (seconds of `time.perf_counter()`, which on Linux all
    processes share) waits for the end of a stall."""
    phase = (at - BEGINS_S) % PERIOD_S
    return STALL_S - phase if phase < STALL_S else 0.0


def serve(port: int, body: bytes) -> None:
    """Answer every request (none has a body) on a port of the loopback, until killed."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer += body
    with suppress(OSError, AttributeError):  # on time on a busy machine too, where that is allowed
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    gc.disable()
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    begun: dict[int, bytes] = {}
    held: list[tuple[Callable[[bytes], int], bytes]] = []
    release = 0.0
    while True:
        wait_s = -1.0 if not held else max(0.0, release - time.perf_counter() - SPIN_S)
        for number, _ in epoll.poll(wait_s):
            if number == listener.fileno():
                client, _ = listener.accept()
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[client.fileno()] = client
                epoll.register(client, select.EPOLLIN)
                continue
            client = clients[number]
            data = _read(client)
            if not data:
                epoll.unregister(number)
                clients.pop(number).close()
                begun.pop(number, None)
                continue
            data = begun.pop(number, b"") + data
            begun[number] = data.rpartition(_END)[2]  # of a request that is not whole yet
            answers = answer * data.count(_END)
            now = time.perf_counter()
            if stall_s := stalled_for(now):
                held.append((client.send, answers))
                release = now + stall_s
            else:
                _send(client.send, answers)
        if held and time.perf_counter() >= release:
            for send, answers in held:
                _send(send, answers)
            held.clear()


def _read(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except OSError:
        return b""


def _send(send: Callable[[bytes], int], data: bytes) -> None:
    try:  # noqa: SIM105 - `suppress` takes as long as the send itself
        send(data)
    except OSError:
        pass  # it went away


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2].encode())
