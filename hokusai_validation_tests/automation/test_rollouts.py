"""When a deployment calls for a run: tables, and a machine that deploys at random."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hokusai_validation.automation.rollouts import Cursor, Decision, decide
from hokusai_validation.resources.aws.models import EcsDeployment, EcsServiceState
from hokusai_validation.resources.aws.rollouts import Outcome, ServiceDeployment, rollout

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
QUIET_S = 60.0
PATIENCE_S = 3600.0


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
    cursor: Cursor,
    *services: EcsServiceState,
    busy: bool = False,
    listed: Sequence[ServiceDeployment] = (),
    now: datetime = NOW,
    gone: tuple[str, ...] = (),
    announced: bool = False,
    failed: tuple[str, ...] = (),
) -> Decision:
    """One tick; `listed` is the history of the first service, `gone` are services that are not there."""
    states = {item.name: rollout(item.name, item, (), cursor.since) for item in services}
    if listed:
        states[services[0].name] = rollout(services[0].name, services[0], listed, cursor.since)
    states |= {name: rollout(name, None) for name in gone}
    return decide(
        cursor,
        states,
        now=now,
        quiet_s=QUIET_S,
        patience_s=PATIENCE_S,
        busy=busy,
        announced=announced,
        failed=failed,
    )


def attempt(name: str, status: str, *, age_s: float = 600) -> ServiceDeployment:
    moment = NOW - timedelta(seconds=age_s)
    return ServiceDeployment(id=name, status=status, created_at=moment, finished_at=moment)


def test_several_services_deployed_together_give_one_run() -> None:
    decision = tick(Cursor(), service("api", deployment("a1")), service("auth", deployment("b1")))
    assert decision.fire is not None
    assert decision.fire.run_key == "deployed:a1+b1"
    assert decision.fire.outcome is Outcome.FINISHED
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
    first = service("api", deployment("a1", age_s=9_000))
    cursor = tick(Cursor(), first, now=NOW - timedelta(hours=1)).cursor
    listed = (attempt("s3", "SUCCESSFUL", age_s=300), attempt("s2", "STOPPED"))
    decision = tick(cursor, service("api", deployment("a3")), listed=listed)
    assert decision.fire is not None
    assert decision.fire.superseded == ("api/s2",)


def test_a_failed_rollout_is_told_once_and_stays_known() -> None:
    cursor = tick(Cursor(), service("api", deployment("a1"))).cursor
    state = service("api", deployment("a2", state="FAILED"), deployment("a1", status="ACTIVE"))
    decision = tick(cursor, state)
    assert decision.fire is not None
    assert decision.fire.run_key == "failed:a2"
    again = tick(decision.cursor, state)
    assert again.fire is None
    decision = tick(again.cursor, service("api", deployment("a3")))
    assert decision.fire is not None
    assert decision.fire.run_key == "deployed:a3"


def test_one_service_that_failed_and_stays_holds_nobody_up() -> None:
    failed = service("api", deployment("a2", state="FAILED"))
    cursor = tick(Cursor(), failed, service("auth", deployment("b1"))).cursor
    first = tick(cursor, failed, service("auth", deployment("b1")))
    assert first.fire is not None
    assert first.fire.run_key == "deployed:a2+b1"
    later = tick(first.cursor, failed, service("auth", deployment("b2")))
    assert later.fire is not None
    assert later.fire.run_key == "deployed:a2+b2"


def test_a_rollback_is_not_a_deployment_that_went_well() -> None:
    """Between two ticks: only the history tells it, for what runs now is COMPLETED."""
    cursor = tick(Cursor(), service("api", deployment("a1"))).cursor
    state = service("api", deployment("a3"))
    decision = tick(cursor, state, listed=(attempt("s2", "ROLLBACK_SUCCESSFUL"),))
    assert decision.fire is not None
    assert decision.fire.outcome is Outcome.ROLLED_BACK
    assert decision.fire.run_key == "rolled_back:s2"
    # Its history may not be read again, nor be there for ever.
    assert tick(decision.cursor, state).fire is None
    assert tick(decision.cursor, state, listed=(attempt("s2", "ROLLBACK_SUCCESSFUL"),)).fire is None


def test_a_rollback_during_a_run_is_told_as_one_after_it() -> None:
    cursor = tick(Cursor(), service("api", deployment("a1"))).cursor
    state, listed = service("api", deployment("a3")), (attempt("s2", "ROLLBACK_SUCCESSFUL"),)
    waiting = tick(cursor, state, listed=listed, busy=True)
    assert waiting.fire is None
    after = tick(waiting.cursor, state, listed=listed)
    assert after.fire is not None
    assert after.fire.outcome is Outcome.ROLLED_BACK


def test_without_the_history_a_repeated_definition_beside_a_failure_is_a_rollback() -> None:
    old = deployment("a1")
    cursor = tick(Cursor(), service("api", old)).cursor
    back = deployment("a3").model_copy(update={"task_definition": old.task_definition})
    decision = tick(cursor, service("api", back, deployment("a2", state="FAILED", status="ACTIVE")))
    assert decision.fire is not None
    assert decision.fire.outcome is Outcome.ROLLED_BACK


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("PENDING", Outcome.MOVING),
        ("IN_PROGRESS", Outcome.MOVING),
        ("STOP_REQUESTED", Outcome.MOVING),
        ("ROLLBACK_REQUESTED", Outcome.MOVING),
        ("ROLLBACK_IN_PROGRESS", Outcome.MOVING),
        ("SUCCESSFUL", Outcome.FINISHED),
        ("STOPPED", Outcome.STOPPED),
        ("ROLLBACK_SUCCESSFUL", Outcome.ROLLED_BACK),
        ("ROLLBACK_FAILED", Outcome.FAILED),
        ("A_STATE_OF_NEXT_YEAR", Outcome.FINISHED),
    ],
)
def test_every_state_of_a_service_deployment(status: str, outcome: Outcome) -> None:
    found = rollout("api", service("api", deployment("a1")), (attempt("s1", status),))
    assert found.outcome is outcome


def test_what_either_call_sees_moving_moves() -> None:
    state = service("api", deployment("a1", state="IN_PROGRESS"))
    assert rollout("api", state, (attempt("s1", "SUCCESSFUL"),)).outcome is Outcome.MOVING


def test_a_deleted_service_is_told_once_and_holds_nobody_up() -> None:
    cursor = tick(Cursor(), service("api", deployment("a1")), service("auth", deployment("b1"))).cursor
    decision = tick(cursor, service("auth", deployment("b1")), gone=("api",))
    assert decision.fire is not None
    assert decision.fire.run_key == "removed:api"
    later = tick(decision.cursor, service("auth", deployment("b1")), gone=("api",))
    assert later.fire is None
    assert "api is not there" in later.reason
    other = tick(later.cursor, service("auth", deployment("b2")), gone=("api",))
    assert other.fire is not None
    assert other.fire.run_key == "deployed:b2"


def test_a_service_that_is_touched_for_ever_comes_to_rest() -> None:
    cursor, fired = Cursor(), []
    for minute in range(4):
        now = NOW + timedelta(minutes=minute)
        touched = deployment("a1").model_copy(update={"updated_at": now})
        decision = tick(cursor, service("api", touched), now=now)
        cursor = decision.cursor
        fired += [decision.fire.run_key] if decision.fire else []
    assert fired == ["deployed:a1"]


def test_a_rollout_without_end_holds_the_others_up_for_a_while_only() -> None:
    states = [service("api", deployment("a1", state="IN_PROGRESS")), service("auth", deployment("b1"))]
    first = tick(Cursor(), *states)
    assert first.fire is None
    later = tick(first.cursor, *states, now=NOW + timedelta(seconds=PATIENCE_S))
    assert later.fire is not None
    assert later.fire.unfinished == ("api",)


def test_a_service_scaled_to_zero_or_up_is_no_deployment() -> None:
    cursor = tick(Cursor(), service("api", deployment("a1"))).cursor
    for desired in (0, 5):
        state = service("api", deployment("a1"), running=0).model_copy(update={"desired": desired})
        assert tick(cursor, state).fire is None


def test_an_announced_end_waits_for_no_quiet() -> None:
    cursor = tick(Cursor(), service("api", deployment("a1"))).cursor
    fresh = service("api", deployment("a2", age_s=1))
    assert tick(cursor, fresh).fire is None
    assert tick(cursor, fresh, announced=True).fire is not None


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
        states = [service(name, item) for name, item in self.services.items()]
        decision = tick(self.cursor, *states, busy=self.running is not None)
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
