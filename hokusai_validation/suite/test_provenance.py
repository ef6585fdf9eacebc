"""Parity of the configuration, and provenance: what is deployed, since when, whether it is what
should be."""

from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from hokusai_validation.errors import AwsError, NotConfigured
from hokusai_validation.facts import FactKind
from hokusai_validation.probes import parity
from hokusai_validation.probes.contract.check import expect
from hokusai_validation.probes.deployed import (
    Deployed,
    deployed,
    record,
    secret_arn,
    secret_state,
    secret_versions,
)
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.report import Deployment
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.sections import DATABASE_USER
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

# A change of the secret within this time after a task's start may still have been read by it.
SECRET_SLACK_S = 60.0


class TestParity:
    """The running task definitions against what the target file declares."""

    def test_task_definitions_as_declared(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Every declared variable has its value, every declared secret comes from Secrets Manager."""
        sentences: list[str] = []
        for each in _deployed(target, aws):
            container = each.container
            if container is None:
                evidence.fact(FactKind.CONFIGURATION_DIFFERS, each.component, "no such container")
                sentences.append(
                    f"{each.component}: {each.definition.arn} has no container {each.declared.container!r}"
                )
                continue
            found = parity.differences(each.declared, container)
            evidence.record(
                each.component,
                {
                    "task_definition": each.definition.arn,
                    "environment": parity.shown_environment(container.environment),
                    "secrets": sorted(container.secrets),
                    "differences": [str(item) for item in found],
                },
            )
            for item in found:
                evidence.fact(FactKind.CONFIGURATION_DIFFERS, each.component, str(item))
            if found:
                sentences.append(parity.sentence(each.component, found))
        if sentences:
            pytest.fail(
                "The running configuration differs from the declared one. " + ". ".join(sentences) + "."
            )

    def test_database_user_configured(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Where a task definition names a database user, it is the target's."""
        expected = target.database.user if target.database is not None else DATABASE_USER
        wrong: list[str] = []
        for each in _deployed(target, aws):
            users = parity.database_users(each.container.environment) if each.container is not None else {}
            evidence.record(each.component, users)
            for name, user in users.items():
                if user != expected:
                    seen = f"{name} of {each.component} names database user {user!r}, not {expected!r}"
                    evidence.fact(FactKind.WRONG_DATABASE_USER, Role.DATABASE, seen, via=each.component)
                    wrong.append(seen)
        if wrong:
            pytest.fail("; ".join(wrong) + ". Correct the task definition and deploy it.")


def _deployed(target: Target, aws: Aws) -> tuple[Deployed, ...]:
    assert target.aws is not None
    found = deployed(aws, target.aws)
    if not found:
        pytest.fail(f"None of the target's ECS services is in cluster {target.aws.cluster}.")
    return found


class TestProvenance:
    """What is deployed, since when, and whether it is what should be."""

    def test_deployments_recorded(
        self, target: Target, evidence: Evidence, request: pytest.FixtureRequest
    ) -> None:
        """Task definition, image and digest, commit, time and secret versions of every component."""
        commit = None
        if target.url is not None:
            commit = str(
                _version_answer(request.getfixturevalue("registry"), evidence).get("git_commit") or ""
            )
        records: list[Deployment] = []
        api = target.named(Role.API_GATEWAY)
        incomplete: list[str] = []
        if target.aws is not None:
            aws: Aws = request.getfixturevalue("aws")
            for each in _deployed(target, aws):
                records.append(
                    record(each, secret_versions(each, aws), commit if each.component == api else None)
                )
                if not each.tasks:
                    incomplete.append(f"{each.component} has no running task")
        elif commit:
            records.append(Deployment(component=api, commit=commit))
        else:
            raise NotConfigured("neither AWS nor a gateway endpoint configured")
        evidence.record("deployment", [each.model_dump(mode="json") for each in records])
        if incomplete:
            pytest.fail("Not all of what is deployed could be determined: " + "; ".join(incomplete) + ".")

    def test_running_newest_task_definition(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Every task runs the newest revision of its service's task definition."""
        old: list[str] = []
        for each in _deployed(target, aws):
            family = each.definition.family
            newest = aws.ecs.task_definition(family)
            evidence.record(
                each.component,
                {
                    "service": each.service.task_definition,
                    "tasks": each.running_definitions,
                    "newest": newest.arn,
                },
            )
            for running in {each.service.task_definition, *each.running_definitions}:
                revision = running.rpartition(":")[2]
                same_family = running.rpartition("/")[2].rpartition(":")[0] == family
                if same_family and revision.isdigit() and int(revision) < newest.revision:
                    registered = (
                        f" ({newest.registered_at:%Y-%m-%d %H:%M} UTC)" if newest.registered_at else ""
                    )
                    seen = f"{each.component} runs {family}:{revision}, newest is {family}:{newest.revision}{registered}"
                    evidence.fact(FactKind.TASK_DEFINITION_OLD, each.component, seen)
                    old.append(seen)
        if old:
            pytest.fail("Not what was built last is deployed: " + "; ".join(sorted(set(old))) + ".")

    def test_secrets_older_than_tasks(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """No secret was changed after a task that uses it had started: it would still use the old one."""
        stale: list[str] = []
        for each in _deployed(target, aws):
            if each.oldest_start is None:
                continue
            for secret_id in _secret_ids(target, each):
                state = secret_state(secret_id, aws)
                # When the value changed, not when a tag or a rotation's setting did.
                changed = state.current.created_at if state.current is not None else None
                evidence.record(
                    f"{each.component} {state.name}",
                    {"changed_at": changed, "oldest_task_started_at": each.oldest_start},
                )
                if changed is not None and (changed - each.oldest_start).total_seconds() > SECRET_SLACK_S:
                    seen = (
                        f"secret {state.name} was changed {changed:%Y-%m-%d %H:%M} UTC,"
                        f" {each.component} runs since {each.oldest_start:%Y-%m-%d %H:%M} UTC"
                    )
                    evidence.fact(FactKind.SECRET_NEWER_THAN_TASKS, each.component, seen)
                    stale.append(seen)
        if stale:
            pytest.fail("Running tasks keep an old secret: " + "; ".join(stale) + ". Deploy them anew.")

    def test_commit_is_expected(
        self, target: Target, registry: HttpClient, evidence: Evidence, request: pytest.FixtureRequest
    ) -> None:
        """Every API instance runs the commit that is expected."""
        expected = target.expected_commit or ""
        answers = {"registry": registry}
        if target.instances:
            instances: tuple[ApiInstance, ...] = request.getfixturevalue("instances")
            answers |= {each.name: each.client for each in instances}
        wrong: list[str] = []
        for name, client in answers.items():
            seen = str(_version_answer(client, evidence, name).get("git_commit") or "unknown")
            if not parity.same_commit(seen, expected):
                since = _deployed_since(target, request)
                text = f"the fix is not deployed: {name} runs {seen[:12]}{since}, expected {expected[:12]}"
                evidence.fact(FactKind.COMMIT_UNEXPECTED, Role.API_GATEWAY, text, via=name)
                wrong.append(text)
        if wrong:
            pytest.fail("; ".join(wrong) + ".")


def _version_answer(
    client: HttpClient, evidence: Evidence, name: str = "registry"
) -> Mapping[str, JsonValue]:
    answer = client.get("/version")
    evidence.answer(f"version of {name}", answer)
    expect(
        answer.status == 200,
        f"GET /version at {name} answered {answer.status}, expected 200.",
        evidence,
        FactKind.UNEXPECTED_STATUS,
    )
    body = answer.json()
    return body if isinstance(body, dict) else {}


def _deployed_since(target: Target, request: pytest.FixtureRequest) -> str:
    if target.aws is None:
        return ""
    try:
        found = {each.component: each for each in deployed(request.getfixturevalue("aws"), target.aws)}
    except AwsError:
        return ""
    api = found.get(target.named(Role.API_GATEWAY))
    return f" since {api.since:%Y-%m-%d %H:%M} UTC" if api is not None and api.since is not None else ""


def _secret_ids(target: Target, each: Deployed) -> tuple[str, ...]:
    used = each.container.secrets.values() if each.container is not None else ()
    found = {secret_arn(value) for value in used}
    return tuple(sorted(found))
