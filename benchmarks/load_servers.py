"""What load is put on: a static nginx, and one that stands still for the first 100 ms of each second."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

BODY = '{"status":"healthy","version":"1.0.0","services":{"mlflow":"healthy","redis":"healthy"}}'
STALL_S = 0.1
PERIOD_S = 1.0
WAKE_S = 0.0002  # from being continued to the first answer, as measured: the stall ends with that
START_LIMIT_S = 10.0

_NGINX = """
master_process off;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{body}'; }}
  }}
}}
"""


def free_port() -> int:
    """A port of the loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_die_with_parent
    )
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} did not start; nothing was measured.")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    """Linux: the kernel ends the child when we are gone, however we went."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextlib.contextmanager
def _nginx() -> Iterator[tuple[int, int]]:
    """Its port and process id.

    Raises SystemExit where there is none."""
    program = shutil.which("nginx") or shutil.which(
        "nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"
    )
    if program is None:
        raise SystemExit(
            "nginx is missing, and nothing can be compared without it: apt-get install nginx-light"
        )
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, body=BODY))
        command = [program, "-p", name, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        with _running(command, port) as process:
            yield port, process.pid


@contextlib.contextmanager
def nginx() -> Iterator[int]:
    """A static nginx of one process; its port."""
    with _nginx() as (port, _):
        yield port


@contextlib.contextmanager
def stalling() -> Iterator[int]:
    """One that is stopped for the first 100 ms of each second; its port."""
    with _nginx() as (port, pid):
        staller = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load_servers", str(pid)], preexec_fn=_die_with_parent
        )
        try:
            yield port
        finally:
            staller.terminate()
            staller.wait()


def stalled_for(at: float) -> float:
    """How long a request that arrives at `at` (seconds of `time.perf_counter()`, which on Linux all
    processes share) waits for the end of a stall."""
    phase = at % PERIOD_S
    return STALL_S - phase if phase < STALL_S else 0.0


def stall(pid: int) -> None:
    """Stop and continue a process by the clock, until it is gone."""
    # Both on time on a busy machine too, where that is allowed: only then is the truth what is
    # worked out from the clock.
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
    second = int(time.perf_counter()) + 1
    try:
        while True:
            time.sleep(max(0.0, second * PERIOD_S - time.perf_counter()))
            os.kill(pid, signal.SIGSTOP)
            time.sleep(max(0.0, second * PERIOD_S + STALL_S - WAKE_S - time.perf_counter()))
            os.kill(pid, signal.SIGCONT)
            second += 1
    except ProcessLookupError:
        return


if __name__ == "__main__":
    stall(int(sys.argv[1]))
