"""Faults on processes, on the sandbox's: proven on the machine itself, and off again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hokusai_sandbox.stack import Stack
from hokusai_validation.chaos.faults.cpu import CpuBurn
from hokusai_validation.chaos.faults.kill import Kill
from hokusai_validation.chaos.faults.memory import MemoryBallast, MemoryLimit
from hokusai_validation.chaos.faults.pause import Pause
from hokusai_validation.chaos.faults.process import ProcessFault
from hokusai_validation.chaos.faults.restart import Restart
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.chaos.stop import stop
from hokusai_validation.errors import FaultNotApplied
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target, read_target
from hokusai_validation_tests.links.program import until

pytestmark = pytest.mark.sandbox

HOLD = """
import sys, time
from hokusai_validation.chaos.faults.pause import Pause
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import read_target

target = read_target(sys.argv[1])
with Injector.from_target(target, Secrets(target)) as injector:
    with injector.fault(Pause("auth")):
        print("on", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def target(sandbox: Stack) -> Target:
    return read_target(str(sandbox.target_file))


@pytest.fixture
def injector(target: Target) -> Iterator[Injector]:
    with Injector.from_target(target, Secrets(target)) as made:
        yield made


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Kill("auth", down_s=1.0), "connection refused at its address"),
        (Restart("auth"), "is gone, now"),
        (Pause("redis"), "is stopped, connected, but no answer in time"),
        (MemoryLimit("auth", margin_bytes=64 * 1024 * 1024), "is limited to"),
        (MemoryBallast("auth", size_bytes=100 * 1024 * 1024), "holds 104857600 bytes"),
        (CpuBurn("auth", share=0.5), "of a CPU"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_it_is_put_on_proven_and_taken_off(injector: Injector, fault: ProcessFault, says: str) -> None:
    with injector.fault(fault) as injection:
        assert says in injection.proofs[fault]
    state = injector.control.process(fault.name)
    assert state.state == "running"
    assert state.pid is not None
    process = psutil.Process(state.pid)
    assert process.status() != psutil.STATUS_STOPPED
    assert process.rlimit(psutil.RLIMIT_DATA)[0] == process.rlimit(psutil.RLIMIT_DATA)[1]
    assert until(lambda: injector.control.process(fault.name).ready is True, 15.0)
    assert [event.what for event in injector.events] == ["applied", "proven", "rolled back"]


def test_an_unknown_process_is_named(injector: Injector) -> None:
    with pytest.raises(FaultNotApplied, match="nobody"), injector.fault(Pause("nobody")):
        pytest.fail("the block must not begin")


@contextlib.contextmanager
def holding(file: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_paused_process_goes_on_when_its_holder_is_killed(injector: Injector, sandbox: Stack) -> None:
    with holding(sandbox.target_file) as process:
        assert injector.control.process("auth").state == "paused"
        os.kill(process.pid, signal.SIGKILL)
        killed = time.monotonic()
        assert until(lambda: injector.control.process("auth").state == "running", 5.0)
        assert time.monotonic() - killed < 5


def test_stop_resumes_a_paused_process(injector: Injector, sandbox: Stack, target: Target) -> None:
    with holding(sandbox.target_file) as process:
        done = stop(target, Secrets(target))
        assert done[0].startswith(f"Ended process {process.pid} (faults: pause, since ")
        assert injector.control.process("auth").state == "running"
    assert stop(target, Secrets(target)) == []
