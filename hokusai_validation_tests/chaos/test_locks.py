"""Never two runs on one target; those who work for the holder may, and nobody after its death."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hokusai_validation.errors import TargetBusy
from hokusai_validation.store import locks
from hokusai_validation.store.lock import target_lock
from hokusai_validation.store.locks import ExperimentLock, TargetLock, target_key
from hokusai_validation.target import Endpoints, Target

TAKE = """
import sys
from hokusai_validation.errors import TargetBusy
from hokusai_validation.store.locks import TargetLock
from hokusai_validation.target import Endpoints, Target

target = Target(name="locked", endpoints=Endpoints(registry=sys.argv[1]))
try:
    with TargetLock(target, "a child"):
        print("taken")
except TargetBusy as error:
    print(f"busy: {error}")
"""

TAKE_AND_WAIT = TAKE.replace('print("taken")', 'print("taken", flush=True); input()')


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A target that no other test has."""
    monkeypatch.delenv(locks.VARIABLE, raising=False)
    # The folder of a test is unique to its run; its name alone is not.
    return Target(name="locked", endpoints=Endpoints(registry=f"http://host.test{tmp_path}"))


def child(target: Target, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TAKE, str(target.url)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env=environment,
    )
    return done.stdout.strip()


def test_the_holder_is_named_and_those_who_work_for_it_go_on(target: Target) -> None:
    without = {name: value for name, value in os.environ.items() if name != locks.VARIABLE}
    with TargetLock(target, "load phase") as lock:
        assert child(target, dict(os.environ)) == "taken"
        told = child(target, without)
        assert told.startswith(f"busy: Target 'locked' is in use by another run by process {os.getpid()}")
        assert "(load phase, since 20" in told
        assert lock.environment() == {locks.VARIABLE: os.environ[locks.VARIABLE]}
        inherited = dict(os.environ)
    assert locks.VARIABLE not in os.environ
    assert lock.holder() is None
    # What an earlier holder left in an environment opens nothing.
    with ExperimentLock(target, "other"):
        assert child(target, inherited) == "taken"


def test_no_environment_moves_the_lock(target: Target, tmp_path: Path) -> None:
    elsewhere = {"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    without = {name: value for name, value in os.environ.items() if name != locks.VARIABLE}
    with TargetLock(target, "chaos"):
        assert child(target, {**without, **elsewhere}).startswith("busy: ")


def test_only_what_the_holder_started_works_for_it(target: Target) -> None:
    """Whoever merely knows the holder's process id gets no further."""
    held = subprocess.Popen(
        [sys.executable, "-c", f"{TAKE_AND_WAIT}", str(target.url)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert held.stdin is not None
    assert held.stdout is not None
    try:
        assert held.stdout.readline() == "taken\n"
        claimed = {**os.environ, locks.VARIABLE: f"{target_key(target)}:{held.pid}"}
        assert child(target, claimed).startswith("busy: ")
    finally:
        held.communicate("over\n", timeout=30)
    assert child(target, dict(os.environ)) == "taken"
    assert not list(locks.lock_folder().glob(f"{target_key(target)}.*"))


def test_another_name_for_a_stack_is_the_same_stack(target: Target, tmp_path: Path) -> None:
    other = target.model_copy(update={"name": "other", "production": True})
    assert target_key(other) == target_key(target)
    one, two = Target(name="one"), Target(name="two")
    assert target_key(one) != target_key(two)


def test_a_dead_holder_does_not_count_even_for_its_own(target: Target) -> None:
    stale = {**os.environ, locks.VARIABLE: f"{target_key(target)}:1"}
    with TargetLock(target, "somebody"):
        assert child(target, stale).startswith("busy: ")


def test_taken_twice_is_left_once_both_are_done(target: Target) -> None:
    with TargetLock(target, "outer"):
        with TargetLock(target, "inner"):
            pass
        holder = TargetLock(target, "").holder()
        assert holder is not None
        assert (holder.pid, holder.what) == (os.getpid(), "outer")
    assert TargetLock(target, "").holder() is None


def test_a_run_keeps_faults_of_others_off(target: Target, tmp_path: Path) -> None:
    without = {name: value for name, value in os.environ.items() if name != locks.VARIABLE}
    with target_lock(target, str(tmp_path), what="a run"):
        assert "(a run, since 20" in child(target, without)
    assert child(target, without) == "taken"


def test_two_stacks_of_one_name_are_two_targets(target: Target) -> None:
    other = target.model_copy(update={"endpoints": Endpoints(registry="http://elsewhere")})
    assert target_key(other) != target_key(target)
    with TargetLock(target, "one"), TargetLock(other, "two"):
        pass


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BASE", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"hokusai-validation-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match="belongs to another user"):
        locks.lock_folder()


def test_a_lock_that_is_held_raises_for_a_second_file_lock(target: Target, tmp_path: Path) -> None:
    one = locks.FileLock(tmp_path / "x", "Busy")
    two = locks.FileLock(tmp_path / "x", "Busy")
    one.take("first")
    with pytest.raises(TargetBusy, match=r"Busy by process \d+ \(first, since "):
        two.take("second")
    one.leave()
    two.take("second", wait_s=1.0)
    two.leave()
    two.leave()
