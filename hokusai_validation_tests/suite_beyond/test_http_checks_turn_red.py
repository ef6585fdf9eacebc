"""Each check over HTTP passes on a healthy service, and a wrong answer turns it red, with the fact
that tells the cause."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from hokusai_sandbox.ports import Reservations
from hokusai_validation.facts import FactKind as Kind
from hokusai_validation.resources.http import Answer
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import Status
from hokusai_validation.suite.test_communication import ASK, Edge
from hokusai_validation.suite.test_communication import DIAGNOSIS as DIAGNOSIS_PATHS
from hokusai_validation.suite.test_communication import TestCommunication as Communication
from hokusai_validation.suite.test_environment import TestCredentials as Credentials
from hokusai_validation.suite.test_environment import TestVersions as Versions
from hokusai_validation.suite.test_infrastructure import TestAlerts as Alerts
from hokusai_validation.suite.test_infrastructure import TestInfrastructure as Infrastructure
from hokusai_validation.suite.test_infrastructure import TestThreeViews as ThreeViews
from hokusai_validation.suite.test_proxy_routing import TestProxyRouting as ProxyRouting
from hokusai_validation.target import Target
from hokusai_validation.topology import role_of_word
from hokusai_validation_tests.judging import Judgement, judge
from hokusai_validation_tests.suite_beyond.stub import GOOD_CHECKS, GOOD_HEALTH, Reply, Stub

SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search"
DIAGNOSIS = "/api/health/mlflow/detailed"

CHECKS: dict[str, Callable[..., None]] = {
    "key": Credentials().test_api_key,
    "versions": Versions().test_versions_recorded,
    "auth root": Infrastructure().test_auth_root,
    "auth health": Infrastructure().test_auth_health,
    "registry root": Infrastructure().test_registry_root,
    "registry health": Infrastructure().test_registry_health,
    "api health": Infrastructure().test_api_health,
    "mlflow health": Infrastructure().test_mlflow_health,
    "mlflow version": Infrastructure().test_mlflow_version,
    "mlflow experiments": Infrastructure().test_mlflow_experiments,
    "availability": Alerts().test_availability_and_errors,
    "prefixes": ProxyRouting().test_both_prefixes,
    "unknown path": ProxyRouting().test_unknown_path_is_json,
    "views": ThreeViews().test_views_agree,
}


def run(check: Callable[..., None], stub: Stub, target: Target | None = None, **given: object) -> Judgement:
    wanted = target or stub.target()
    fixtures: dict[str, object] = {
        "target": wanted,
        "secrets": Secrets(wanted),
        "registry": stub.client(),
        "resolver": Resolver(),
    }
    return judge(check, **(fixtures | given))


def health(**services: str) -> Reply:
    body: dict[str, Any] = deepcopy(GOOD_HEALTH)
    errors = {f"{name}_error": text for name, text in services.items() if " " in text}
    body["services"] |= {name: "unhealthy" if " " in text else text for name, text in services.items()}
    return Reply(200, body | errors)


def checks(name: str, message: str) -> Reply:
    return Reply(503, {"checks": GOOD_CHECKS | {name: {"status": "unhealthy", "message": message}}})


@dataclass(frozen=True)
class Red:
    """One path answered otherwise, the check that it turns red, and the fact."""

    check: str
    path: str
    reply: Reply
    kind: Kind
    component: str

    def __str__(self) -> str:
        return f"{self.check} {self.reply.status} {self.kind.value}"


RED = (
    Red("auth root", "/", Reply(500), Kind.UNEXPECTED_STATUS, "auth"),
    Red("auth root", "/", Reply(301, headers={"location": "/x"}), Kind.UNEXPECTED_STATUS, "auth"),
    Red("auth health", "/health", Reply(503), Kind.UNEXPECTED_STATUS, "auth"),
    Red("registry root", "/", Reply(502), Kind.UNEXPECTED_STATUS, "api"),
    Red("registry health", "/health", Reply(404), Kind.UNEXPECTED_STATUS, "api"),
    Red("registry health", "/health", Reply(401), Kind.PROBE_NEEDS_KEY, "api"),
    Red("api health", "/health", Reply(503), Kind.UNEXPECTED_STATUS, "api"),
    Red("mlflow health", "/api/mlflow/health", Reply(502), Kind.PROXY_ERROR, "mlflow"),
    Red("mlflow health", "/api/mlflow/health", Reply(404, b"<html>"), Kind.WRONG_TARGET_GROUP, "load_balancer"),
    Red("mlflow version", "/api/mlflow/version", Reply(401), Kind.KEY_REFUSED, "auth"),
    Red("mlflow version", "/api/mlflow/version", Reply(200, b"hello"), Kind.PROXY_ERROR, "mlflow"),
    Red("mlflow experiments", SEARCH, Reply(200, []), Kind.PROXY_ERROR, "mlflow"),
    Red("availability", "/ready", Reply(503), Kind.AVAILABILITY, "api"),
    Red("availability", "/live", Reply(500), Kind.ERROR_RATE, "api"),
    Red("prefixes", f"/mlflow{SEARCH.removeprefix('/api/mlflow')}", Reply(404), Kind.WRONG_TARGET_GROUP, "load_balancer"),
    Red("unknown path", "/api/mlflow/api/2.0/mlflow/no-such-thing", Reply(404, b"<html>"), Kind.PROXY_ERROR, "api"),
    Red("unknown path", "/api/mlflow/api/2.0/mlflow/no-such-thing", Reply(404, {"error_code": "X"}), Kind.PROXY_ERROR, "api"),
    Red("views", "/health", health(mlflow="unhealthy"), Kind.HEALTH_ANSWER_WRONG, "mlflow"),
)  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_passes_on_a_healthy_service(stub: Stub, name: str) -> None:
    seen = run(CHECKS[name], stub)
    assert (seen.status, seen.message, seen.facts) == (Status.PASSED, "", ())


@pytest.mark.parametrize("red", RED, ids=str)
def test_a_wrong_answer_turns_it_red(stub: Stub, red: Red) -> None:
    stub.replies[red.path] = red.reply
    seen = run(CHECKS[red.check], stub)
    assert seen.status is Status.FAILED, seen.message
    assert (red.kind, red.component) in seen.seen


class TestKey:
    """The API key: whose fault it is when it is refused."""

    def test_refused_by_the_auth_service_too(self, stub: Stub) -> None:
        stub.replies |= {"/": Reply(401), "/api/v1/keys/validate": Reply(401)}
        seen = run(CHECKS["key"], stub)
        assert seen.status is Status.FAILED
        assert seen.seen == {(Kind.KEY_REFUSED, "auth")}

    def test_accepted_by_the_auth_service(self, stub: Stub) -> None:
        stub.replies |= {"/": Reply(401), "/api/v1/keys/validate": Reply(200, {"user_id": "u"})}
        seen = run(CHECKS["key"], stub)
        assert seen.status is Status.FAILED
        assert seen.seen == {(Kind.KEY_FORM_REFUSED, "api")}
        assert "asks in another form" in seen.message

    def test_auth_service_unreachable(self, stub: Stub) -> None:
        stub.replies["/"] = lambda _, headers: (
            Reply(503, {"detail": "Authentication service unavailable"})
            if "authorization" in headers
            else Reply(401)
        )
        seen = run(CHECKS["key"], stub)
        assert seen.status is Status.FAILED
        assert seen.seen == {(Kind.UNEXPECTED_STATUS, "auth")}

    def test_root_without_key_proves_nothing(self, stub: Stub) -> None:
        stub.replies |= {"/": Reply(200), SEARCH: Reply(403)}
        assert run(CHECKS["key"], stub).status is Status.FAILED

    def test_mlflow_down_is_not_the_keys_fault(self, stub: Stub) -> None:
        stub.replies |= {"/": Reply(200), SEARCH: Reply(502)}
        assert run(CHECKS["key"], stub).status is Status.PASSED


class TestViews:
    """The three views, taken for real."""

    def test_a_dead_dependency_that_is_called_healthy(self, stub: Stub) -> None:
        with Reservations(["dead"]) as reserved:
            target = stub.target(mlflow={"url": f"http://127.0.0.1:{reserved.ports['dead']}"})
            seen = run(CHECKS["views"], stub, target)
        assert seen.status is Status.FAILED
        assert "mlflow: the service says up (healthy), we see down" in seen.message
        assert seen.seen == {(Kind.HEALTH_CLAIMS_WELL, "mlflow")}

    def test_an_open_breaker_is_no_contradiction(self, stub: Stub) -> None:
        stub.replies["/health"] = health(mlflow="degraded")
        assert run(CHECKS["views"], stub).status is Status.PASSED

    @pytest.mark.parametrize(
        ("says", "deployed", "kind"),
        [
            ("unhealthy", False, Kind.OPTIONAL_REQUIRED),
            ("disabled", False, None),
            ("disabled", True, Kind.HEALTH_ANSWER_WRONG),
            ("healthy", True, None),
        ],
    )
    def test_redis_is_optional(self, stub: Stub, says: str, deployed: bool, kind: Kind | None) -> None:
        stub.replies["/health"] = health(redis=says, message_queue="disabled" if says == "disabled" else says)
        target = stub.target(redis={"host": "127.0.0.1"}) if deployed else stub.target()
        seen = run(ThreeViews().test_optional_redis_is_no_failure, stub, target)
        assert (seen.status is Status.FAILED) == (kind is not None)
        assert kind is None or kind in {fact.kind for fact in seen.facts}


class TestEdges:
    """Communication, edge by edge."""

    @pytest.mark.parametrize("edge", ASK, ids=lambda edge: "->".join(edge))
    def test_passes_on_a_healthy_service(self, stub: Stub, edge: Edge) -> None:
        assert run(Communication().test_edge, stub, edge=edge).status is Status.PASSED

    @pytest.mark.parametrize(
        ("edge", "path", "reply", "kind", "component"),
        [
            ("load_balancer->api", "/live", Reply(503), Kind.UNEXPECTED_STATUS, "api"),
            ("load_balancer->auth", "/health", Reply(503), Kind.UNEXPECTED_STATUS, "auth"),
            ("api->auth", "/", Reply(503, {"detail": "time-out"}), Kind.READ_TIMED_OUT, "auth"),
            ("api->auth", "/", Reply(200), Kind.BAD_KEY_ACCEPTED, "api"),
            ("api->mlflow", DIAGNOSIS, checks("connectivity", "connection refused"), Kind.REFUSED, "mlflow"),
            ("api->mlflow", DIAGNOSIS, checks("connectivity", "ConnectTimeout"), Kind.CONNECT_TIMED_OUT, "mlflow"),
            ("api->mlflow", DIAGNOSIS, checks("connectivity", "Name or service not known"), Kind.NAME_NOT_RESOLVED, "mlflow"),
            ("api->mlflow", DIAGNOSIS, Reply(401), Kind.KEY_REFUSED, "auth"),
            ("api->mlflow", DIAGNOSIS, Reply(200, {}), Kind.SCHEMA_MISMATCH, "api"),
            ("mlflow->postgres", DIAGNOSIS, checks("experiments_api", "MLflow answered 500"), Kind.SERVICE_UNHEALTHY, "postgres"),
            ("mlflow->artifacts", DIAGNOSIS, checks("artifacts_api", "timed out"), Kind.READ_TIMED_OUT, "artifacts"),
            ("api->postgres", "/health", health(postgres='password authentication failed for user "mlflow"'), Kind.PASSWORD_REFUSED, "postgres"),
            ("api->redis", "/health", health(redis="connection refused"), Kind.REFUSED, "redis"),
            ("api->message_queue", "/health", health(message_queue="unhealthy"), Kind.SERVICE_UNHEALTHY, "message_queue"),
        ],
    )  # fmt: skip
    def test_a_broken_edge_is_red(
        self, stub: Stub, edge: str, path: str, reply: Reply, kind: Kind, component: str
    ) -> None:
        stub.replies[path] = reply
        seen = run(Communication().test_edge, stub, edge=edge_of(edge))
        assert seen.status is Status.FAILED, seen.message
        assert (kind, component) in seen.seen

    def test_what_is_not_deployed_is_skipped(self, stub: Stub) -> None:
        target = stub.target(topology={"redis": {"deployed": False, "optional": True}})
        seen = run(Communication().test_edge, stub, target, edge=edge_of("api->redis"))
        assert (seen.status, seen.message) == (Status.SKIPPED, "redis is not deployed on this target")

    def test_a_dead_api_is_told_by_kind(self, stub: Stub) -> None:
        with Reservations(["dead"]) as reserved:
            url = f"http://127.0.0.1:{reserved.ports['dead']}"
            dead = Stub(url)
            seen = run(Communication().test_edge, dead, edge=edge_of("api->postgres"))
        assert seen.status is Status.FAILED
        assert seen.seen == {(Kind.REFUSED, "api")}


class TestDiagnosis:
    """`/api/health/mlflow*`: their form, and a status that agrees with what they say."""

    @pytest.mark.parametrize("path", DIAGNOSIS_PATHS)
    def test_a_good_one_passes(self, stub: Stub, path: str) -> None:
        stub.replies[path] = Reply(200, {"checks": GOOD_CHECKS})
        assert run(Communication().test_diagnosis_endpoint, stub, path=path).status is Status.PASSED

    @pytest.mark.parametrize(
        ("reply", "kind", "component"),
        [
            (Reply(200, {}), Kind.SCHEMA_MISMATCH, "api"),
            (Reply(200, {"checks": {"connectivity": {"status": "healthy"}}}), Kind.SCHEMA_MISMATCH, "api"),
            (Reply(503, {"checks": GOOD_CHECKS}), Kind.HEALTH_ANSWER_WRONG, "api"),
            (Reply(200, checks("connectivity", "refused").body), Kind.HEALTH_ANSWER_WRONG, "api"),
            (checks("connectivity", "connection refused"), Kind.REFUSED, "mlflow"),
        ],
    )
    def test_a_wrong_one_is_red(self, stub: Stub, reply: Reply, kind: Kind, component: str) -> None:
        stub.replies[DIAGNOSIS] = reply
        seen = run(Communication().test_diagnosis_endpoint, stub, path=DIAGNOSIS)
        assert seen.status is Status.FAILED
        assert (kind, component) in seen.seen

    @pytest.mark.parametrize(
        ("reply", "red"),
        [
            (checks("connectivity", "refused"), False),
            (Reply(200, {"checks": GOOD_CHECKS}), True),
            (checks("connectivity", ""), True),
        ],
    )
    def test_mlflow_down_must_be_seen(self, stub: Stub, reply: Reply, red: bool) -> None:
        body = json.dumps(reply.body).encode()
        answer = Answer("GET", "http://api/x", reply.status, {}, body, 1.0)
        scene = SimpleNamespace(name="api-1", cut=lambda _: nullcontext(), get=lambda path, key: answer)
        seen = judge(ProxyRouting().test_diagnosis_sees_mlflow_down, target=stub.target(), proxied=scene)
        assert (seen.status is Status.FAILED) == red
        assert seen.seen == ({(Kind.HEALTH_ANSWER_WRONG, "api")} if red else set())


def edge_of(text: str) -> Edge:
    """An edge by the contract's words for its ends."""
    start, end = map(role_of_word, text.split("->"))
    assert start is not None
    assert end is not None
    return start, end
