"""What is injected wins over the target file, and secrets travel by environment."""

import dagster as dg
import pytest
from pydantic import SecretStr

from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.errors import SecretMissing, TargetInvalid
from hokusai_validation.resources.injected import (
    SECRET_VARIABLE,
    AwsResource,
    DatabaseResource,
    GatewayResource,
    KeyResource,
    MlflowResource,
    RedisResource,
    effective_target,
)
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Target

TARGET = Target.model_validate(
    {
        "name": "t",
        "endpoints": {"registry": "http://file.test", "api": "http://file-api.test"},
        "database": {"host": "file.test", "password": {"env": "FILE_PASSWORD"}},
    }
)


def test_nothing_injected_changes_nothing() -> None:
    nothing = (
        GatewayResource(),
        KeyResource(),
        AwsResource(),
        DatabaseResource(),
        MlflowResource(),
        RedisResource(),
    )
    assert effective_target(TARGET, nothing) == EffectiveTarget(target=TARGET)


def test_a_field_replaces_that_field_alone() -> None:
    effective = effective_target(TARGET, [GatewayResource(registry="http://injected.test")])
    target = effective.target
    assert target.endpoints.registry == "http://injected.test"
    assert target.endpoints.api == "http://file-api.test"
    assert not effective.secrets


def test_a_secret_is_named_in_the_target_and_carried_by_the_environment() -> None:
    effective = effective_target(TARGET, [DatabaseResource(password="hunter22", port=6000)])
    target = effective.target
    variable = SECRET_VARIABLE.format("DATABASE_PASSWORD")
    assert effective.secrets == {variable: SecretStr("hunter22")}
    assert effective.injected == {variable}
    assert target.database is not None
    assert target.database.password == SecretRef(env=variable)
    assert (target.database.host, target.database.port) == ("file.test", 6000)
    assert "hunter22" not in effective.model_dump_json() + effective.canonical + repr(effective)


def test_a_section_that_the_file_lacks_can_be_injected_whole() -> None:
    target = effective_target(TARGET, [RedisResource(host="redis.test")]).target
    assert target.redis is not None
    assert (target.redis.host, target.redis.port) == ("redis.test", 6379)


def test_half_a_section_is_refused_with_what_is_missing() -> None:
    with pytest.raises(TargetInvalid, match=r"`aws.cluster`: Field required"):
        effective_target(TARGET, [AwsResource(region="eu-west-1")])


def test_a_value_from_the_environment_is_looked_up_when_the_run_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = [KeyResource(good=dg.EnvVar("A_GIVEN_KEY"))]
    with pytest.raises(SecretMissing, match="A_GIVEN_KEY"):
        effective_target(TARGET, given)
    monkeypatch.setenv("A_GIVEN_KEY", "hk_live_0123456789")
    held = effective_target(TARGET, given)
    assert held.secrets == {SECRET_VARIABLE.format("KEYS_GOOD"): SecretStr("hk_live_0123456789")}


def test_a_secret_of_the_environment_is_resolved_with_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE_PASSWORD", "from outside")
    held = effective_target(TARGET)
    assert held.secrets == {"FILE_PASSWORD": SecretStr("from outside")}
    assert held.injected == frozenset()
