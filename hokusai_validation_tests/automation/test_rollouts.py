"""When a deployment calls for a run: tables, and a machine that deploys at random."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hokusai_validation.automation.rollouts import Cursor, Decision, decide
from hokusai_validation.resources.aws.models import EcsDeployment, EcsServiceState

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
QUIET_S = 60.0


def deployment(
    name: str, *, state: str = "COMPLETED", age_s: float = 600, status: str = "PRIMARY"
) -> EcsDeployment:
    moment = NOW - timedelta(seconds=age_s)
    return EcsDeployment(
        id=name,
        status=status,
        task_definition=f"arn:aws:ecs:us-east-1:1:task-definition/{name}",
        desired=1,
        running=1,
        rollout_state=state,
        created_at=moment,
        updated_at=moment,
    )


def service(name: str, *deployments: EcsDeployment, running: int = 1) -> EcsServiceState:
    return EcsServiceState(
        name=name,
        arn=f"arn:{name}",
        status="ACTIVE",
        desired=1,
        running=running,
        pending=0,
        task_definition=deployments[0].task_definition,
        deployments=deployments,
    )


def tick(
    cursor: Cursor, *services: EcsServiceState, busy: bool = False, replaced: tuple[str, ...] = ()
) -> Decision:
    states = {item.name: item for item in services}
    return decide(cursor, states, now=NOW, quiet_s=QUIET_S, busy=busy, replaced=replaced)


def test_several_services_deployed_together_give_one_run() -> None:
    decision = tick(Cursor(), service("api", deployment("a1")), service("auth", deployment("b1")))
    assert decision.fire is not None
    assert decision.fire.run_key == "deployed:a1+b1"
    assert not decision.fire.light
    again = tick(decision.cursor, service("api", deployment("a1")), service("auth", deployment("b1")))
    assert again.fire is None
    assert "already" in again.reason


@pytest.mark.parametrize(
    ("services", "says"),
    [
        ([service("api", deployment("a1", state="IN_PROGRESS"))], "Not finished yet: api"),
        ([service("api", deployment("a1", age_s=5))], "waiting for 60 s of quiet"),
        ([service("api", deployment("a1", state=""), running=0)], "Not finished yet: api"),
    ],
)
def test_an_unfinished_or_fresh_rollout_waits(services: list[EcsServiceState], says: str) -> None:
    decision = tick(Cursor(), *services)
    assert decision.fire is None
    assert says in decision.reason


def test_a_deployment_during_a_run_gets_one_run_after_it() -> None:
    cursor = tick(Cursor(), service("api", deployment("a1"))).cursor
    for name in ("a2", "a3", "a4"):
        decision = tick(cursor, service("api", deployment(name)), busy=True)
        assert decision.fire is None
        cursor = decision.cursor
    after = tick(cursor, service("api", deployment("a4")))
    assert after.fire is not None
    assert after.fire.run_key == "deployed:a4"
    assert after.fire.superseded == ("a2", "a3")


def test_one_superseded_between_two_ticks_is_on_record() -> None:
    cursor = tick(Cursor(), service("api", deployment("a1"))).cursor
    decision = tick(cursor, service("api", deployment("a3")), replaced=("api/a2",))
    assert decision.fire is not None
    assert decision.fire.superseded == ("api/a2",)


def test_a_failed_rollout_asks_for_the_light_job_once() -> None:
    state = service("api", deployment("a2", state="FAILED"), deployment("a1", status="ACTIVE"))
    decision = tick(Cursor(validated=("a1",)), state)
    assert decision.fire is not None
    assert decision.fire.light
    assert decision.fire.run_key == "failed:a2"
    again = tick(decision.cursor, state)
    assert again.fire is None


def test_a_rollback_after_a_failure_is_validated() -> None:
    failed = deployment("a2", state="FAILED", status="ACTIVE")
    decision = tick(Cursor(validated=("a1",)), service("api", deployment("a3"), failed))
    assert decision.fire is not None
    assert decision.fire.light
    decision = tick(decision.cursor, service("api", deployment("a3"), failed))
    assert decision.fire is not None
    assert decision.fire.run_key == "deployed:a3"


def test_a_cursor_survives_being_stored() -> None:
    cursor = tick(Cursor(), service("api", deployment("a1"))).cursor
    assert Cursor.model_validate_json(cursor.model_dump_json()) == cursor


class Deployments(RuleBasedStateMachine):
    """Deploys, ticks, runs, crashes and outages in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.services = {"api": deployment("api-0"), "auth": deployment("auth-0")}
        self.count = 0
        self.cursor = Cursor()
        self.running: str | None = None
        self.validated: list[str] = []

    @rule(name=st.sampled_from(["api", "auth"]), state=st.sampled_from(["IN_PROGRESS", "COMPLETED"]))
    def deploy(self, name: str, state: str) -> None:
        self.count += 1
        self.services[name] = deployment(f"{name}-{self.count}", state=state)

    @rule(name=st.sampled_from(["api", "auth"]))
    def finish(self, name: str) -> None:
        self.services[name] = self.services[name].model_copy(update={"rollout_state": "COMPLETED"})

    @rule(crash=st.booleans())
    def tick(self, crash: bool) -> None:
        states = {name: service(name, item) for name, item in self.services.items()}
        decision = decide(self.cursor, states, now=NOW, quiet_s=QUIET_S, busy=self.running is not None)
        if decision.fire is not None:
            key = decision.fire.run_key
            if key not in self.validated:  # Dagster drops a run key that it has seen
                assert self.running is None
                self.running = key
                self.validated.append(key)
        if not crash:  # a daemon that dies here ticks again with the old cursor
            self.cursor = decision.cursor

    @rule()
    def run_ends(self) -> None:
        self.running = None

    @invariant()
    def nothing_is_validated_twice(self) -> None:
        assert len(set(self.validated)) == len(self.validated)

    def teardown(self) -> None:
        """When all is quiet, the present state has its run."""
        for name in self.services:
            self.finish(name)
        self.run_ends()
        self.tick(False)
        present = "deployed:" + "+".join(sorted(item.id for item in self.services.values()))
        assert present in self.validated


TestDeployments = Deployments.TestCase
