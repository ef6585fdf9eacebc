"""Communication between the services, edge by edge: each one seen working from where it starts.

What a service itself tells of its way to another comes first (`/api/health/mlflow*`, the detailed
health answer); where links with counters stand on the edge, bytes must really have passed.
"""

from collections.abc import Callable, Mapping

import pytest
from pydantic import JsonValue

from hokusai_validation.errors import AgentFailed, NotConfigured, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.check import expect
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.probes.symptoms import note_symptom, symptom
from hokusai_validation.redaction import shown
from hokusai_validation.resources import unknown_key
from hokusai_validation.resources.http import Answer, HttpClient
from hokusai_validation.resources.links import LinkClient
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, word_for

DIAGNOSIS = ("/api/health/mlflow", "/api/health/mlflow/detailed", "/api/health/mlflow/connectivity")
# What a working dependency may call itself; `recovering` is on its way.
KEYS = 12  # of a fault that meets one request in five, one at least is met by 93 of 100 such tests
STEPS = {"connectivity", "experiments_api", "artifacts_api"}
WORKING = ("healthy", "recovering")
Edge = tuple[Role, Role]


class TestCommunication:
    """Every edge of the topology."""

    def test_edge(
        self,
        edge: Edge,
        target: Target,
        registry: HttpClient,
        evidence: Evidence,
        request: pytest.FixtureRequest,
    ) -> None:
        """The edge is seen working."""
        start, end = edge
        for name in (target.named(start), target.named(end)):
            if not target.topology[name].deployed:
                raise NotConfigured(f"{name} is not deployed on this target")
        doors: dict[str, HttpClient] = {"registry": registry}
        if start is Role.API_GATEWAY and target.instances:
            instances: tuple[ApiInstance, ...] = request.getfixturevalue("instances")
            doors = {each.name: each.client for each in instances}
        before = _passed_bytes(target, edge, doors)
        wrong: list[str] = []
        for name, client in doors.items():
            try:
                problem = ASK[edge](target, client, evidence, name)
            except RequestFailed as error:
                evidence.failure(error, start, via=name)
                problem = f"{name} could not be asked: {error}"
            if problem is not None:
                wrong.append(problem)
        passed = {
            each: after - before[each]
            for each, after in _passed_bytes(target, edge, doors).items()
            if each in before
        }
        evidence.record("bytes passed meanwhile", passed)
        if wrong:
            pytest.fail("; ".join(wrong))

    @pytest.mark.parametrize("path", DIAGNOSIS)
    def test_diagnosis_endpoint(self, path: str, registry: HttpClient, evidence: Evidence) -> None:
        """The endpoint names each step of the way to MLflow, and its status agrees with them."""
        answer = registry.get(path, key=True)
        evidence.answer(path, answer)
        body = answer.json()
        found = diagnosis_checks(body)
        formless = [name for name, check in found.items() if not {"status", "message"} <= check.keys()]
        expect(
            found and not formless and (path != DIAGNOSIS[1] or found.keys() >= STEPS),
            f"GET {path} answered {answer.status} with checks {sorted(found) or 'of none'}, each must have"
            " status and message.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
        )
        sick = {name: check for name, check in found.items() if check["status"] != "healthy"}
        expect(
            answer.status == (503 if sick else 200),
            f"GET {path} answered {answer.status} with {', '.join(sick) or 'nothing'} unhealthy.",
            evidence,
            FactKind.HEALTH_ANSWER_WRONG,
        )
        for name, check in sick.items():
            evidence.fact(
                symptom(str(check["message"])) or FactKind.SERVICE_UNHEALTHY,
                Role.TRACKING_SERVER,
                str(check["message"]),
                Role.API_GATEWAY,
            )
            pytest.fail(f"GET {path}: {name} is {check['status']}, {check['message']}")


def diagnosis_checks(body: object) -> dict[str, dict[str, JsonValue]]:
    """The `checks` of a diagnosis answer that have the form of one."""
    checks = body.get("checks") if isinstance(body, dict) else None
    found = checks if isinstance(checks, dict) else {}
    return {str(name): check for name, check in found.items() if isinstance(check, dict)}


def _passed_bytes(target: Target, edge: Edge, doors: Mapping[str, HttpClient]) -> dict[str, int]:
    """What went over the links of an edge so far, by link; empty where nobody counts."""
    if target.links is None:
        return {}
    start, end = map(target.named, edge)
    names = [
        f"{start}->{end}",
        *(f"{door}->{end}" for door in doors),
        *(f"{start}->{each.name}" for each in target.instances),
    ]
    client = LinkClient.from_target(target)
    counted: dict[str, int] = {}
    try:
        for name in dict.fromkeys(names):
            if name in target.links.edges:
                counters = client.state(name).counters
                if counters is not None:
                    counted[name] = counters.bytes_up + counters.bytes_down
    except AgentFailed:
        return {}
    finally:
        client.close()
    return counted


def _status_is(answer: Answer, status: int, component: str, evidence: Evidence, via: str) -> str | None:
    evidence.answer(f"{answer.method} at {via}", answer)
    if answer.status == status:
        return None
    seen = f"{answer.method} {answer.url} answered {answer.status}, expected {status}"
    evidence.fact(FactKind.UNEXPECTED_STATUS, component, seen, via)
    return seen


def _balancer_to_api(target: Target, client: HttpClient, evidence: Evidence, via: str) -> str | None:
    return _status_is(client.get("/live"), 200, Role.API_GATEWAY, evidence, Role.LOAD_BALANCER)


def _balancer_to_auth(target: Target, client: HttpClient, evidence: Evidence, via: str) -> str | None:
    if target.endpoints.auth is None:
        raise NotConfigured("no auth endpoint configured")
    return _status_is(
        client.get(f"{target.endpoints.auth}/health"), 200, Role.AUTH, evidence, Role.LOAD_BALANCER
    )


def _api_to_auth(target: Target, client: HttpClient, evidence: Evidence, via: str) -> str | None:
    """Keys that nobody knows can't be in the cache: each 401 comes from the auth service. Several are
    asked for, as a way that holds once need not always hold."""
    for _ in range(KEYS):
        problem = _unknown_key_refused(client, evidence, via)
        if problem is not None:
            return problem
    return None


def _unknown_key_refused(client: HttpClient, evidence: Evidence, via: str) -> str | None:
    answer = unknown_key.ask(client)
    evidence.answer(f"an unknown key at {via}", answer)
    if answer.status == unknown_key.REFUSED:
        return None
    seen = f"{via} answered {answer.status} to an unknown key: {shown(answer.text, 120)!r}"
    if answer.status < 400:
        evidence.fact(FactKind.BAD_KEY_ACCEPTED, Role.API_GATEWAY, seen, via)
    else:
        evidence.fact(symptom(answer.text) or FactKind.UNEXPECTED_STATUS, Role.AUTH, seen, via)
    return seen


def _api_to_mlflow(target: Target, client: HttpClient, evidence: Evidence, via: str) -> str | None:
    return _mlflow_check("connectivity", Role.TRACKING_SERVER, target, client, evidence, via)


def _mlflow_to_postgres(target: Target, client: HttpClient, evidence: Evidence, via: str) -> str | None:
    """A search of experiments reads the database."""
    return _mlflow_check("experiments_api", Role.DATABASE, target, client, evidence, Role.TRACKING_SERVER)


def _mlflow_to_artifacts(target: Target, client: HttpClient, evidence: Evidence, via: str) -> str | None:
    """Listing artifacts reads the bucket."""
    return _mlflow_check("artifacts_api", Role.ARTIFACT_STORE, target, client, evidence, Role.TRACKING_SERVER)


def _mlflow_check(
    check: str, component: str, target: Target, client: HttpClient, evidence: Evidence, via: str
) -> str | None:
    answer = client.get("/api/health/mlflow/detailed", key=True)
    evidence.answer(f"diagnosis at {via}", answer)
    if answer.status == 401:
        evidence.fact(FactKind.KEY_REFUSED, Role.AUTH, "the diagnosis endpoint refused the good key", via)
        return "GET /api/health/mlflow/detailed refused the good key"
    body = answer.json()
    checks = body.get("checks") if isinstance(body, dict) else None
    found = checks.get(check) if isinstance(checks, dict) else None
    if not isinstance(found, dict) or "status" not in found:
        seen = f"GET /api/health/mlflow/detailed answered {answer.status} without `checks.{check}.status`"
        evidence.fact(FactKind.SCHEMA_MISMATCH, Role.API_GATEWAY, seen, via)
        return seen
    if found["status"] == "healthy":
        return None
    message = str(found.get("message", ""))
    if note_symptom(message, component, evidence, target, via=via) is None:
        evidence.fact(FactKind.SERVICE_UNHEALTHY, component, message, via)
    return f"{target.named(via)} does not reach {target.named(component)}: {message}"


def _api_says(part: Role) -> Callable[[Target, HttpClient, Evidence, str], str | None]:
    """The detailed health answer of an instance about one of its dependencies."""
    service = word_for(part)

    def ask(target: Target, client: HttpClient, evidence: Evidence, via: str) -> str | None:
        answer = client.get("/health?detailed=true")
        evidence.answer(f"health at {via}", answer)
        body = answer.json()
        services = body.get("services") if isinstance(body, dict) else None
        if not isinstance(services, dict):
            evidence.fact(FactKind.SCHEMA_MISMATCH, Role.API_GATEWAY, "GET /health has no `services`", via)
            return f"GET /health at {via} has no `services`"
        status = str(services.get(service, "disabled"))
        if status in WORKING:
            return None
        if status == "disabled":
            pytest.skip(f"{via} says that {service} is disabled")
        message = str(body.get(f"{service}_error") or body.get(f"{service}_details") or status)
        if note_symptom(message, part, evidence, target, via=via) is None:
            evidence.fact(FactKind.SERVICE_UNHEALTHY, part, message, via)
        return f"{via} does not reach {service}: {status}, {shown(message, 200)}"

    return ask


ASK: Mapping[Edge, Callable[[Target, HttpClient, Evidence, str], str | None]] = {
    (Role.LOAD_BALANCER, Role.API_GATEWAY): _balancer_to_api,
    (Role.LOAD_BALANCER, Role.AUTH): _balancer_to_auth,
    (Role.API_GATEWAY, Role.AUTH): _api_to_auth,
    (Role.API_GATEWAY, Role.TRACKING_SERVER): _api_to_mlflow,
    (Role.API_GATEWAY, Role.DATABASE): _api_says(Role.DATABASE),
    (Role.API_GATEWAY, Role.CACHE): _api_says(Role.CACHE),
    (Role.API_GATEWAY, Role.QUEUE): _api_says(Role.QUEUE),
    (Role.TRACKING_SERVER, Role.DATABASE): _mlflow_to_postgres,
    (Role.TRACKING_SERVER, Role.ARTIFACT_STORE): _mlflow_to_artifacts,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A case for every edge, under the contract's words for its ends."""
    if "edge" in metafunc.fixturenames:
        metafunc.parametrize("edge", ASK, ids=lambda edge: "->".join(map(word_for, edge)))
