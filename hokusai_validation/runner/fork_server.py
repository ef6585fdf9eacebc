"""A process that has imported what suite processes need, and parts into one whenever a command comes: what takes
each of them seconds to import, a run imports once.

A command is a line of JSON, and with it come two descriptors: where the new process prints to, and where of
it is told: its number once it is on its own, then its exit status."""

import json
import os
import selectors
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hokusai_validation.runner.parentage import end_with

_READ_BYTES = 65_536
_DESCRIPTORS = 2


class Forked:
    """A process that the server parted into, for whoever asked for it; as far as needed, `subprocess.Popen`."""

    def __init__(self, pid: int, told: socket.socket, stdout: int) -> None:
        self.pid = pid
        self.stdout = os.fdopen(stdout, "rb")
        self.returncode: int | None = None
        self._told = told

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; SIGKILL's where the server died with it.

        Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                line = _line(self._told)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("a suite process", timeout or 0.0) from None
            self.returncode = int(line) if line else -signal.SIGKILL
            self._told.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def fork(
    server: socket.socket, words: Sequence[str], environment: Mapping[str, str], limit_s: float
) -> Forked | None:
    """A process for the command of these arguments, with this environment over the server's; None where the
    server does not part within `limit_s` seconds, or has died."""
    ours, its = socket.socketpair()
    output, written = os.pipe()
    try:
        with its:
            tell(server, {"words": list(words), "environment": dict(environment)}, written, its)
        ours.settimeout(limit_s)
        number = _line(ours)
    except OSError:
        number = b""
    finally:
        os.close(written)
    if not number:
        os.close(output)
        ours.close()
        return None
    return Forked(int(number), ours, output)


def tell(server: socket.socket, what: Mapping[str, object], *descriptors: "int | socket.socket") -> None:
    """Send the server a line.

    Raises OSError where it has died."""
    line = json.dumps(what).encode() + b"\n"
    sent = socket.send_fds(
        server, [line], [each if isinstance(each, int) else each.fileno() for each in descriptors]
    )
    server.sendall(line[sent:])


def _line(of: socket.socket) -> bytes:
    """A line, byte by byte, for what follows is another's; nothing where the other end was closed."""
    line = b""
    with suppress(ConnectionResetError):
        while byte := of.recv(1):
            if byte == b"\n":
                return line
            line += byte
    return b""


def serve(channel: socket.socket, other: Callable[[Mapping[str, str]], None]) -> list[str] | None:
    """Part for each command, give any other line to `other`. Returns in a new process the words of its command,
    its environment set and its output where it was asked for; in the server None, when nobody can ask any
    more."""
    ended, wake = socket.socketpair()
    for end in (ended, wake):
        end.setblocking(False)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    server = _Server(channel, ended, other)
    words = server.run()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, before)
    for each in (channel, ended, wake, *server.tellers.values()):
        each.close()
    return words


@dataclass
class _Server:
    """`ended` can be read when a child may have ended; `tellers` is where each child's status is told."""

    channel: socket.socket
    ended: socket.socket
    other: Callable[[Mapping[str, str]], None]
    tellers: dict[int, socket.socket] = field(default_factory=dict)
    _begun: bytes = b""
    _given: deque[int] = field(default_factory=deque)

    def run(self) -> list[str] | None:
        """Until nobody asks; in a child, its words."""
        with selectors.DefaultSelector() as selector:
            for each in (self.channel, self.ended):
                selector.register(each, selectors.EVENT_READ, each)
            while True:
                ready = [key.data for key, _ in selector.select()]
                if self.ended in ready:
                    self._bury()
                if self.channel not in ready:
                    continue
                fresh, descriptors, *_ = socket.recv_fds(self.channel, _READ_BYTES, _DESCRIPTORS)
                if not fresh:
                    return None
                self._given.extend(descriptors)
                *lines, self._begun = (self._begun + fresh).split(b"\n")
                for line in lines:
                    if (words := self._obey(json.loads(line))) is not None:
                        return words

    def _obey(self, told: "dict[str, object]") -> list[str] | None:
        words, environment = told.get("words"), told.get("environment")
        if not isinstance(words, list) or not isinstance(environment, dict):
            self.other({name: str(value) for name, value in told.items()})
            return None
        output, teller = self._given.popleft(), self._given.popleft()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            os.close(output)
            self.tellers[pid] = socket.socket(fileno=teller)
            return None
        os.setsid()
        end_with(parent)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        for standard in (1, 2):
            os.dup2(output, standard)
        os.close(output)
        with socket.socket(fileno=teller) as to:
            to.sendall(b"%d\n" % os.getpid())
        os.environ.update(environment)
        return [str(word) for word in words]

    def _bury(self) -> None:
        """Tell of the children that have ended."""
        with suppress(BlockingIOError):
            self.ended.recv(_READ_BYTES)
        for pid, teller in list(self.tellers.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self.tellers[pid]
                with teller, suppress(OSError):  # who asked may be gone
                    teller.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
