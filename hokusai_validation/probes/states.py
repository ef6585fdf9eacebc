"""Bringing one instance into a state by real faults and real calls, and out of it again.

Nothing here calls a breaker: it is opened by calls that fail and closed by the API's own reset.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hokusai_validation.errors import ExpectationUnmet, FaultNotApplied, NotJudged, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.probes import direct
from hokusai_validation.probes.contract.answers import DetailedHealth, Health, MlflowHealthOpen
from hokusai_validation.probes.contract.check import conforms, expect, failure, has_status
from hokusai_validation.probes.symptoms import note_symptom
from hokusai_validation.redaction import shown
from hokusai_validation.resources import own_faults, shared
from hokusai_validation.resources.http import SERVER_ERROR_FROM, Answer
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, role_of_word, word_for

if TYPE_CHECKING:
    from hokusai_validation.chaos.injection import Injector
    from hokusai_validation.probes.instances import ApiInstance
    from hokusai_validation.resources.links import LinkClient

POLL_S = 0.05
# Beyond the time that the target promises itself: scheduling, one more look of a background check.
SLACK_S = 3.0
# How long a part has to come back before it is looked at past the API.
LOOK_AFTER_S = 2.0
# How long a reset that an instance could not serve is not asked of it again.
UNSERVED_FOR_S = 30.0
FAILPOINT_LEASE_S = 20.0
EXTRA_CALLS = 2
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
STATE_IN_HEALTH = {"degraded": "OPEN", "recovering": "HALF_OPEN"}

_unserved = shared.Lately(
    "reset unserved", UNSERVED_FOR_S
)  # instances that answered it by an error of their own


@dataclass(frozen=True)
class Scene:
    """One API instance, its breaker and its links, as a test uses them; `before` are the states that it
    said its services were in before the test."""

    instance: "ApiInstance"
    links: "LinkClient | None"
    target: Target
    evidence: Evidence
    injector: "Injector | None" = field(default=None)
    before: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The instance's."""
        return self.instance.name

    def with_injector(self, injector: "Injector") -> "Scene":
        """The same, able to cut links."""
        return replace(self, injector=injector)

    # asking

    def get(self, path: str, *, key: bool = False) -> Answer:
        """A request to the instance itself."""
        return self.instance.client.get(path, key=key)

    def health(self) -> Health:
        """`GET /health`, held to its form."""
        return conforms(self.get("/health"), Health, self.evidence, via=self.name)

    def detailed(self) -> DetailedHealth:
        """`GET /health?detailed=true`, held to its form."""
        answer = self.get("/health?detailed=true")
        return conforms(answer, DetailedHealth, self.evidence, via=self.name)

    def counted(self) -> Answer:
        """A call to MLflow that the breaker counts and that needs no key."""
        return self.instance.client.get("/health/mlflow", timeout_s=self._call_limit_s)

    def proxied(self) -> Answer:
        """A call through the proxy to MLflow, counted too."""
        path = (self.target.mlflow.through_gateway if self.target.mlflow else "/api/mlflow") + SEARCH
        return self.instance.client.get(path, key=True, timeout_s=self._call_limit_s)

    def services(self) -> dict[str, str]:
        """The states in `/health`, the contract's parts by their role, whatever the rest of the answer
        looks like: its form is judged by the tests that are about it.

        Raises ExpectationUnmet where there are none."""
        answer = self.get("/health")
        try:
            found = answer.json()["services"]
            return {role_of_word(str(name)) or str(name): str(state) for name, state in found.items()}
        except (RequestFailed, KeyError, TypeError, AttributeError):
            raise failure(
                f"GET /health of {self.name} answered {answer.status} without services:"
                f" {shown(answer.text, 80)!r}.",
                self.evidence,
                FactKind.SCHEMA_MISMATCH,
                via=self.name,
            ) from None

    def breaker_state(self) -> str:
        """As `/health` shows it, which counts nothing."""
        return STATE_IN_HEALTH.get(self.services().get(Role.TRACKING_SERVER, ""), "CLOSED")

    def connections(self, dependency: str) -> int:
        """Connections that reached the link to a dependency so far.

        Raises NotJudged where the links don't count."""
        assert self.links is not None
        counters = self.links.state(self.edge(dependency)).counters
        if counters is None:
            raise NotJudged("This target's links don't count connections, so nothing can be proven.")
        return int(counters.accepted)

    def bytes_to(self, dependency: str) -> int:
        """Bytes sent towards a dependency so far, as its link counts them.

        Raises NotJudged where the links don't count."""
        assert self.links is not None
        counters = self.links.state(self.edge(dependency)).counters
        if counters is None:
            raise NotJudged("This target's links don't count bytes, so nothing can be proven.")
        return int(counters.bytes_up)

    def edge(self, dependency: str) -> str:
        """The link from the instance to a dependency, which is given by its role."""
        return f"{self.name}->{self.target.named(dependency)}"

    def names(self, parts: Iterable[str], between: str = ", ") -> str:
        """What the target calls these, for a message."""
        return between.join(self.target.named(each) for each in parts)

    # bringing about

    @contextlib.contextmanager
    def cut(self, *dependencies: str, counted: bool = False) -> Iterator[None]:
        """The links to these are cut in the block; `counted`: connections are still accepted (and
        broken at once), so that each is counted."""
        from hokusai_validation.chaos.faults.refuse import Refuse
        from hokusai_validation.chaos.faults.reset import Reset

        kind = Reset if counted else Refuse
        with self._injector.fault(*(kind(self.edge(each)) for each in dependencies)):
            yield

    @contextlib.contextmanager
    def hanging(self, *dependencies: str) -> Iterator[None]:
        """The links to these accept and never answer in the block."""
        from hokusai_validation.chaos.faults.black_hole import BlackHole

        with self._injector.fault(*(BlackHole(self.edge(each)) for each in dependencies)):
            yield

    @contextlib.contextmanager
    def failpoint(self, name: str) -> Iterator[None]:
        """A fail point of the instance is on in the block (and for its lease at most).

        Raises FaultNotApplied."""
        points = self.instance.failpoints
        if points is None:
            raise FaultNotApplied(f"Instance {self.name} has no fail points; nothing was changed.")
        answer = points.request("PUT", "/failpoints", json={name: True, "lease_s": FAILPOINT_LEASE_S})
        if answer.status != 200 or points.get("/failpoints").json().get(name) is not True:
            raise FaultNotApplied(
                f"Fail point {name} of {self.name} is not on: {answer.status} {shown(answer.text, 80)!r}."
            )
        with own_faults.on(f"failpoint:{self.name}"):
            try:
                yield
            finally:
                points.request("DELETE", "/failpoints")

    def open_breaker(self) -> MlflowHealthOpen:
        """With MLflow's link cut: counted calls until the instance says OPEN; its answer then.

        Raises ExpectationUnmet when failing calls don't open it, NotJudged when they don't fail."""
        limit = max(1, self.target.gateway.breaker_failure_threshold) + EXTRA_CALLS
        answers = []
        for _ in range(limit):
            answer = self.counted()
            answers.append(answer)
            if answer.status == 503:
                return conforms(answer, MlflowHealthOpen, self.evidence, status=503, via=self.name)
        self.evidence.answer("last counted call", answers[-1])
        if all(answer.status == 200 and answer.object().get("connected") is True for answer in answers):
            if self.proxied().status < 500:
                raise NotJudged(f"MLflow's link is cut, but calls through {self.name} still reach MLflow.")
            raise failure(
                f"MLflow's link is cut and proxied calls fail, but /health/mlflow of {self.name} says"
                " connected.",
                self.evidence,
                FactKind.HEALTH_ANSWER_WRONG,
                via=self.name,
            )
        if answers[-1].status >= SERVER_ERROR_FROM:
            # Nobody can tell the breaker's state; that the endpoint fails is what is wrong.
            has_status(answers[-1], 503, self.evidence, via=self.name)
        raise failure(
            f"{limit} failed calls in a row, and {self.name} does not say OPEN"
            f" (threshold {self.target.gateway.breaker_failure_threshold}): its last answer was"
            f" {answers[-1].status}.",
            self.evidence,
            FactKind.BREAKER_CONTRACT,
            via=self.name,
        )

    def await_retry(self) -> Answer:
        """Counted calls until one is admitted again; its answer. While OPEN the instance says how
        long to wait, so the first admitted call is the only one that counts."""
        longest = self.target.gateway.breaker_recovery_timeout_s * 2 + SLACK_S
        deadline = time.monotonic() + longest
        while True:
            answer = self.counted()
            if answer.status != 503:
                return answer
            left = conforms(answer, MlflowHealthOpen, self.evidence, status=503, via=self.name)
            if time.monotonic() > deadline:
                message = (
                    f"{self.name} is still OPEN after {longest:.1f} s (recovery time-out"
                    f" {self.target.gateway.breaker_recovery_timeout_s:g} s): {left.error}."
                )
                # Where the tries themselves fail, it is not the breaker that is at fault.
                if note_symptom(left.error, Role.TRACKING_SERVER, self.evidence, self.target, via=self.name):
                    raise ExpectationUnmet(message)
                raise failure(message, self.evidence, FactKind.BREAKER_STUCK_OPEN, via=self.name)
            time.sleep(min(max(left.can_retry_in_seconds, POLL_S / 5), longest))

    def half_open_breaker(self) -> None:
        """From OPEN with the link restored: one counted call after the wait, which succeeds.

        Raises ExpectationUnmet when it does not."""
        self.expect_connected(self.await_retry())

    def expect_connected(self, answer: Answer) -> None:
        """A counted call reached MLflow.

        Raises ExpectationUnmet, with the fact of what it met instead."""
        has_status(answer, 200, self.evidence, via=self.name)
        seen = answer.object()
        if seen.get("connected") is True:
            return
        error = str(seen.get("error") or "")
        note_symptom(error, Role.TRACKING_SERVER, self.evidence, self.target, via=self.name)
        raise failure(
            f"{self.name} does not reach MLflow: {error or shown(answer.text, 80)}.",
            self.evidence,
            FactKind.SERVICE_UNHEALTHY,
            Role.TRACKING_SERVER,
            via=self.name,
        )

    def reset(self, *, key: bool = True) -> Answer:
        """`POST /health/mlflow/reset`."""
        return self.instance.client.post("/health/mlflow/reset", key=key)

    def close_breaker(self) -> None:
        """CLOSED with nothing counted: by the reset, else by good calls.

        Raises ExpectationUnmet when it stays open."""
        if not _unserved.holds(self.name):
            status = self.reset().status
            if status == 200:
                return
            if status >= SERVER_ERROR_FROM:  # it takes long where the instance waits for what it needs for it
                _unserved.note(self.name)
        for _ in range(max(1, self.target.gateway.breaker_failure_threshold) + EXTRA_CALLS):
            self.await_retry()
        self.expect_breaker("CLOSED", "after good calls (the reset was refused)")

    # waiting

    def expect_breaker(self, state: str, when: str) -> None:
        """The breaker shows a state now.

        Raises ExpectationUnmet."""
        seen = self.breaker_state()
        kind = FactKind.BREAKER_STUCK_OPEN if seen == "OPEN" else FactKind.BREAKER_CONTRACT
        expect(
            seen == state,
            f"{when[0].upper()}{when[1:]} the breaker of {self.name} is {seen}, expected {state}.",
            self.evidence,
            kind,
            via=self.name,
        )

    def await_health(
        self,
        wanted: Callable[[Health], bool],
        what: str,
        *,
        limit_s: float | None = None,
        part: str | None = None,
    ) -> Health:
        """`/health` of the instance, asked until it is as wanted, or until the `part` that must come back
        for it is seen to be out itself.

        Raises ExpectationUnmet when it never is: its answer is wrong, or nothing recovers."""
        longest = self.target.gateway.health_timeout_s + SLACK_S if limit_s is None else limit_s
        started = time.monotonic()
        while True:
            health = self.health()
            if wanted(health):
                return health
            waited_s = time.monotonic() - started
            gone = None
            if part is not None and waited_s > LOOK_AFTER_S:
                gone, part = direct.out(part, self.target), None
            if waited_s > longest or gone:
                message = (
                    f"{self.name} does not say {what} within {waited_s:.1f} s:"
                    f" it says {health.status} ({health.services})"
                    + (f", and the part itself is out: {gone}." if gone else ".")
                )
                self._note_services(health)
                # Who gives it the time to recover waits for that; else it is slow to see what is.
                kind = FactKind.HEALTH_ANSWER_WRONG if limit_s is None else FactKind.NOT_RECOVERED
                raise failure(message, self.evidence, kind, via=self.name)
            time.sleep(POLL_S)

    def _note_services(self, health: Health) -> None:
        """Facts of what the instance says of its services, with the errors that it gives."""
        try:
            answer = self.get("/health?detailed=true").object()
        except RequestFailed:
            answer = {}
        note_services(health, answer, self.evidence, self.target, via=self.name)

    @property
    def _injector(self) -> "Injector":
        if self.injector is None:
            raise FaultNotApplied("No injector was given; use the fixture `scene`.")
        return self.injector

    @property
    def _call_limit_s(self) -> float:
        return self.target.gateway.proxy_timeout_s + SLACK_S


def note_services(
    health: Health, detailed: object, evidence: Evidence, target: Target, *, via: str | None
) -> None:
    """A fact for each service that is not well, and one for what its error tells."""
    for name, state in health.services.states().items():
        if state in ("healthy", "disabled"):
            continue
        evidence.fact(FactKind.SERVICE_UNHEALTHY, name, f"/health says {state}", via)
        text = str(detailed.get(f"{word_for(name)}_error") or "") if isinstance(detailed, dict) else ""
        if text:
            note_symptom(text, name, evidence, target, via=via or Role.API_GATEWAY)


def retry_after_s(answer: Answer, evidence: Evidence, *, via: str | None = None) -> float:
    """The `Retry-After` of an answer, in seconds.

    Raises ExpectationUnmet when it is missing or no number of seconds."""
    text = answer.headers.get("retry-after", "")
    expect(
        text.isdigit(),
        f"{answer.method} {answer.url.partition('?')[0]} answered {answer.status} with"
        f" Retry-After {text!r}, expected whole seconds.",
        evidence,
        FactKind.SCHEMA_MISMATCH,
        via=via,
    )
    return float(text)
