"""The sandbox from outside: start it, ask about it, end it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from hokusai_sandbox.environment import base_environment
from hokusai_sandbox.process import descendants
from hokusai_validation import file_lock
from hokusai_validation.errors import PortTaken, StackDidNotStart, StackError, UsageError

START_LIMIT_S = 150.0  # above the supervisor's own limits, the first start's template included
STOP_LIMIT_S = 25.0


def default_directory() -> Path:
    """`HOKUSAI_SANDBOX_DIR`, else `.sandbox` in the current folder."""
    return Path(os.environ.get("HOKUSAI_SANDBOX_DIR", ".sandbox"))


class Stack:
    """A sandbox that is up. As a context manager it is ended with the block."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        self.directory = directory.resolve()
        self._process = process

    @property
    def target_file(self) -> Path:
        """The target file to validate it with."""
        return self.directory / "target.toml"

    @classmethod
    def start(
        cls,
        directory: Path,
        scenario: str | None = None,
        *,
        detached: bool = False,
        ports: Mapping[str, int] | None = None,
        only: Sequence[str] = (),
        progress: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Start one and wait until it serves. It ends with this process, unless `detached`. `only`
        names the processes to start (none: all); then nothing is said of the stack's health.

        Raises StackDidNotStart, PortTaken, ScenarioNotFound, each with one sentence."""
        if scenario:
            from hokusai_sandbox.scenarios import find

            find(scenario)
        directory = directory.resolve()
        try:
            (directory / "logs").mkdir(parents=True, exist_ok=True)
            log = (directory / "logs" / "supervisor.log").open("wb")
        except OSError as error:
            raise UsageError(
                f"The sandbox's folder {directory} can't be used: {error.strerror}; choose another with --dir."
            ) from None
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "hokusai_sandbox", "--dir", str(directory)]
        if scenario:
            command += ["--scenario", scenario]
        if not detached:
            command.append("--attached")
        for name, port in (ports or {}).items():
            command += ["--port", f"{name}={port}"]
        for name in only:
            command += ["--only", name]
        home = os.environ.get("HOME", "/")
        with log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=base_environment(Path(home)) | {"SANDBOX_REPORT": str(writing)},
                cwd="/",
                pass_fds=[writing],
                start_new_session=True,
            )
        os.close(writing)
        stack = cls(directory, None if detached else process)
        try:
            stack._await(reading, process, progress)
        except BaseException:
            _end(process.pid)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_LIMIT_S)
            raise
        finally:
            os.close(reading)
        if detached:
            process.returncode = 0  # it goes on without us
        return stack

    def _await(self, reading: int, process: subprocess.Popen[bytes], progress: Callable[[str], None]) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        buffer = b""
        while time.monotonic() < deadline:
            if not select.select([reading], [], [], 0.5)[0]:
                continue
            piece = os.read(reading, 65536)
            if not piece:
                break
            buffer += piece
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                values = json.loads(line)
                if values.get("ready"):
                    return
                if "error" in values:
                    kind = {"PortTaken": PortTaken}.get(str(values.get("kind")), StackDidNotStart)
                    raise kind(values["error"])
                progress(str(values.get("ready_process") or values.get("step") or ""))
        path = self.directory / "logs" / "supervisor.log"
        what = "said nothing" if time.monotonic() > deadline else "ended"
        said = " | ".join(path.read_text(errors="replace").splitlines()[-3:]) if path.is_file() else ""
        raise StackDidNotStart(
            f"The sandbox did not come up: its supervisor {what} after"
            f" {time.monotonic() - deadline + START_LIMIT_S:.1f} s: {said or 'no word'}. Its log is {path}."
        )

    @classmethod
    def running(cls, directory: Path) -> Self | None:
        """The sandbox that is up in this folder, if there is one."""
        stack = cls(directory)
        return stack if stack.status().get("up") else None

    def status(self) -> dict[str, Any]:
        """As `sandbox status --json`: `up`, and when it is: `url`, `services` with address, pid and
        state; `memory_bytes` of all together, pages that several share counted once. Asked of the
        supervisor, so that it is how things are now."""
        try:
            values: dict[str, Any] = json.loads((self.directory / "status.json").read_text())
        except (OSError, ValueError):
            return {"up": False, "directory": str(self.directory)}
        if not _alive(values["supervisor"]["pid"], values["started_at"]):
            return {"up": False, "directory": str(self.directory)}
        from hokusai_sandbox.asking import processes

        found = processes(self.directory, values["supervisor"]["address"])
        for item in found:
            # A change may have put one more there.
            values["services"].setdefault(
                item["name"], {"component": item["component"], "address": item["address"]}
            )
            values["services"][item["name"]] |= {
                key: item[key] for key in ("pid", "state", "ready", "restarts", "rss_bytes", "cpu_s")
            }
        values["memory_bytes"] = _memory(values["supervisor"]["pid"])
        return values

    def stop(self) -> None:
        """End it; returns when nothing of it is left.

        Raises StackError when something is."""
        status = self.status()
        pid = self._process.pid if self._process is not None else status.get("supervisor", {}).get("pid")
        if pid is None:
            return
        _end(pid)
        deadline = time.monotonic() + STOP_LIMIT_S
        while time.monotonic() < deadline:
            if self._process is not None:
                self._process.poll()
            # The lock is held for as long as the supervisor or its keeper lives.
            if not _held(self.directory / "lock"):
                if self._process is not None:
                    self._process.wait(STOP_LIMIT_S)
                return
            time.sleep(0.02)
        raise StackError(
            f"The sandbox in {self.directory} did not end within {STOP_LIMIT_S:g} s (pid {pid})."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _alive(pid: int, started_at: float) -> bool:
    """Whether that process is the one meant, and not a later one of the same number."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started_at) < 60.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _memory(supervisor: int) -> int:
    """Proportional set size of the supervisor, its keeper and all below, in bytes; where the kernel
    does not tell, the resident size."""
    total = 0
    try:
        keeper = psutil.Process(supervisor).ppid()
    except psutil.Error:
        return 0
    for pid in (keeper, *descendants(keeper)):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            with suppress(psutil.Error):
                total += int(psutil.Process(pid).memory_info().rss)
    return total


def _held(lock: Path) -> bool:
    try:
        with lock.open("r") as handle:
            return not file_lock.taken(handle.fileno())
    except OSError:
        return False
