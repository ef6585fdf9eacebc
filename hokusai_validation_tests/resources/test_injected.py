"""What is injected wins over the target file, and secrets travel by environment."""

import pytest

from hokusai_validation.errors import TargetInvalid
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
from hokusai_validation.target import SecretRef, Target

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
    assert effective_target(TARGET, nothing) == (TARGET, {})


def test_a_field_replaces_that_field_alone() -> None:
    target, environment = effective_target(TARGET, [GatewayResource(registry="http://injected.test")])
    assert target.endpoints.registry == "http://injected.test"
    assert target.endpoints.api == "http://file-api.test"
    assert environment == {}


def test_a_secret_is_named_in_the_target_and_carried_by_the_environment() -> None:
    target, environment = effective_target(TARGET, [DatabaseResource(password="hunter22", port=6000)])
    variable = SECRET_VARIABLE.format("DATABASE_PASSWORD")
    assert environment == {variable: "hunter22"}
    assert target.database is not None
    assert target.database.password == SecretRef(env=variable)
    assert (target.database.host, target.database.port) == ("file.test", 6000)
    assert "hunter22" not in target.model_dump_json()


def test_a_section_that_the_file_lacks_can_be_injected_whole() -> None:
    target, _ = effective_target(TARGET, [RedisResource(host="redis.test")])
    assert target.redis is not None
    assert (target.redis.host, target.redis.port) == ("redis.test", 6379)


def test_half_a_section_is_refused_with_what_is_missing() -> None:
    with pytest.raises(TargetInvalid, match=r"`aws.cluster`: Field required"):
        effective_target(TARGET, [AwsResource(region="eu-west-1")])
