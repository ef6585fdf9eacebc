"""Permission first, and off again whatever happens: Ctrl-C, SIGTERM, kill -9, a dead link program."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hokusai_validation.chaos.faults.refuse import Refuse
from hokusai_validation.chaos.faults.stop_task import StopTask
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.chaos.permission import check_permitted, plan
from hokusai_validation.errors import AgentFailed, FaultOrphaned, NotPermitted, TargetBusy
from hokusai_validation.permission import Gate
from hokusai_validation.target import FaultKind, Instance, Permissions, Target
from hokusai_validation_tests.chaos.conftest import Recorder
from hokusai_validation_tests.chaos.stage import Stage, stage
from hokusai_validation_tests.links.program import LinkProgram, until

MLFLOW, REDIS = "api-1->mlflow", "api-1->redis"
HOLD = """
import sys, time
from hokusai_validation.chaos.faults.refuse import Refuse
from hokusai_validation.chaos.injection import Injector
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import read_target

target = read_target(sys.argv[1])
with Injector.from_target(target, Secrets(target)) as injector:
    with injector.fault(Refuse("api-1->mlflow"), Refuse("api-1->redis")):
        print("on", flush=True)
        time.sleep(60)
"""


def permitted(**values: object) -> Target:
    """A target that permits cutting links."""
    return Target.model_validate(
        {
            "name": "t",
            "permissions": Permissions(faults=(FaultKind.REFUSE, FaultKind.STOP_TASK)),
            "instances": (Instance(name="api-1", url="http://x"), Instance(name="api-2", url="http://y")),
        }
        | values
    )


def test_nothing_is_permitted_by_default() -> None:
    with pytest.raises(NotPermitted, match="fault 'refuse' not permitted on this target"):
        check_permitted([Refuse(MLFLOW)], Gate(Target(name="t")))


def test_only_named_kinds_are_permitted(scenery: Stage) -> None:
    only = Permissions(faults=(FaultKind.LATENCY,))
    target = scenery.target.model_copy(update={"permissions": only})
    with Injector(target, scenery.secrets) as injector:
        with pytest.raises(NotPermitted, match=r"add it to permissions\.faults"):
            injector.fault(Refuse(MLFLOW)).__enter__()
        assert injector.events == []
    assert scenery.dirty() == []


@pytest.mark.parametrize(
    ("edges", "instances", "says"),
    [
        (["api-1->mlflow", "api-2->mlflow"], 2, "api-1, api-2 would suffer at once"),
        (["mlflow->postgres"], 2, "mlflow is no API instance"),
        (["api-1->mlflow"], 1, r"lists 1 instance\(s\)"),
    ],
)
def test_in_production_one_instance_of_at_least_two_suffers(
    edges: list[str], instances: int, says: str
) -> None:
    listed = tuple(Instance(name=f"api-{n + 1}", url="http://x") for n in range(instances))
    target = permitted(production=True, instances=listed)
    with pytest.raises(NotPermitted, match=says):
        check_permitted([Refuse(edge) for edge in edges], Gate(target, frozenset({"refuse"})))


def test_a_stopped_task_is_judged_by_its_service() -> None:
    check_permitted([StopTask("api")], Gate(permitted(production=True), frozenset({"stop_task"})))


def test_a_dry_run_tells_and_does_nothing(scenery: Stage) -> None:
    lines = plan([Refuse(MLFLOW)], Gate(scenery.target))
    assert lines == ("put on: refuse on link api-1->mlflow",)
    refused = plan([Refuse(MLFLOW)], Gate(scenery.target.model_copy(update={"permissions": Permissions()})))
    assert refused[-1].startswith("not permitted: ")
    assert scenery.dirty() == []


def test_it_is_off_after_an_exception_and_after_ctrl_c(injector: Injector, scenery: Stage) -> None:
    def end_by(error: type[BaseException]) -> None:
        with injector.fault(Refuse(MLFLOW)):
            assert scenery.dirty() == ["api-1.mlflow"]
            raise error

    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error):
            end_by(error)
        assert scenery.dirty() == []


def test_ctrl_c_while_taking_off_waits_until_it_is_off(injector: Injector, scenery: Stage) -> None:
    class Interrupted(Refuse):
        """Gets Ctrl-C in the middle of being taken off."""

        def undo(self, reach: object) -> None:
            signal.raise_signal(signal.SIGINT)
            super().undo(reach)  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt), injector.fault(Interrupted(MLFLOW)):
        pass
    assert scenery.dirty() == []


def test_leases_are_renewed_while_the_block_runs(injector: Injector, scenery: Stage) -> None:
    with injector.fault(Refuse(MLFLOW)):
        time.sleep(1.5)  # the stage's injector leases for 1 s
        assert scenery.dirty() == ["api-1.mlflow"]


def test_it_can_be_taken_off_from_another_thread(injector: Injector, scenery: Stage) -> None:
    with injector.fault(Refuse(MLFLOW), Refuse(REDIS)) as injection:
        threads = [threading.Thread(target=injection.undo) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert scenery.dirty() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_it_is_off_when_its_process_is_ended(scenery: Stage, tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(scenery.write_target(tmp_path))], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        assert scenery.dirty() == ["api-1.mlflow", "api-1.redis"]
        process.send_signal(number)
        assert until(lambda: scenery.dirty() == [], 5.0)
        if number != signal.SIGKILL:
            assert process.wait(20) != 0
    finally:
        process.kill()
        process.wait()


def test_two_processes_never_put_faults_on_one_target(scenery: Stage, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(scenery.write_target(tmp_path))], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        from hokusai_validation.store.locks import ExperimentLock, TargetLock

        for lock in (TargetLock, ExperimentLock):
            with pytest.raises(TargetBusy, match=rf"by process {process.pid} \(faults: refuse, since 20"):
                lock(scenery.target, "test").__enter__()
            holder = lock(scenery.target, "test").holder()
            assert holder is not None
            assert holder.pid == process.pid
    finally:
        process.kill()
        process.wait()
    assert until(lambda: TargetLock(scenery.target, "test").holder() is None)
    with TargetLock(scenery.target, "test"), TargetLock(scenery.target, "again"):
        pass
    assert until(lambda: scenery.dirty() == [], 5.0)


def test_what_can_not_be_undone_is_told_with_its_command(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hokusai_validation.chaos.injection.UNDO_LIMIT_S", 0.5)
    with LinkProgram(tmp_path, []) as program, stage(program) as scenery:
        injector = Injector(scenery.target, scenery.secrets, recorder=recorder)

        def pause_the_links_while_it_is_on() -> None:
            with injector.fault(Refuse(MLFLOW)):
                os.kill(program.process.pid, signal.SIGSTOP)
                monkeypatch.setattr("hokusai_validation.resources.agent.TIMEOUT_S", 0.2)
                threading.Timer(1.5, os.kill, [program.process.pid, signal.SIGCONT]).start()

        with pytest.raises(FaultOrphaned) as raised:
            pause_the_links_while_it_is_on()
        injector.close()
        assert until(lambda: scenery.dirty() == [], 6.0)
    command = f"curl -fsS -X POST {program.url}/proxies/api-1.mlflow -d '{{\"enabled\": true}}'"
    assert raised.value.command == command
    assert raised.value.exit_status == 3
    told = recorder.values["orphaned_faults"]
    assert isinstance(told, list)
    (entry,) = told
    assert entry["command"] == command
    assert "refuse on link api-1->mlflow could not be undone" in entry["fault"]


def test_an_agent_that_is_gone_is_one_clear_sentence(tmp_path: Path, scenery: Stage) -> None:
    with LinkProgram(tmp_path, []) as other:
        url = other.url
    links = scenery.target.links
    assert links is not None
    target = scenery.target.model_copy(update={"links": links.model_copy(update={"url": url})})
    says = pytest.raises(AgentFailed, match=r"does not answer: .* Is it running\?")
    with Injector(target, scenery.secrets) as injector, says:
        injector.links.state(MLFLOW)
