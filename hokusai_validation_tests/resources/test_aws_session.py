"""Who asks AWS: roles in other accounts, profiles, session tokens; FIPS and proxies as boto3 has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import SecretStr

from hokusai_validation.errors import AwsCredentialsRefused, SecretMissing
from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.session import Login, make
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Aws as Section
from hokusai_validation.target import Target
from hokusai_validation_tests.moto_server import serving_aws

OTHER = "222222222222"
ROLE = f"arn:aws:iam::{OTHER}:role/hokusai-validation"
KEYS = Login(access_key=SecretStr("test"), secret_key=SecretStr("test"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving_aws() as found:
        yield found


def target(url: str, **changes: Any) -> Target:
    section = Section.model_validate({"cluster": "c", "endpoint_url": url, **changes})
    return Target(name="t", aws=section)


def test_one_daemon_reads_two_accounts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("TEST_EXTERNAL_ID", "an-external-id")
    own = target(url)
    other = target(url, role_arn=ROLE, external_id={"env": "TEST_EXTERNAL_ID"})
    seen = []
    for each in (own, other):
        aws = Aws.from_target(each, Secrets(each))
        seen.append(aws.identity())
        queue = aws.own_calls()
        seen.append(Aws(queue, "c").identity())
        queue.close()
        aws.close()
    assert [each.account for each in seen] == ["123456789012", "123456789012", OTHER, "123456789012"]
    assert seen[2].arn.endswith("hokusai-validation/hokusai-validation")


def test_secrets_are_read_in_the_targets_role(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    session = make(KEYS.model_copy(update={"role_arn": ROLE}), "us-east-1", url)
    session.client("secretsmanager", endpoint_url=url).create_secret(
        Name="s", SecretString='{"k": "stored-there"}'
    )
    session.client("ssm", endpoint_url=url).put_parameter(Name="/p", Value="also-there", Type="SecureString")
    there, here = target(url, role_arn=ROLE), target(url)
    assert Secrets(there).value(SecretRef(secret_id="s", key="k")).get_secret_value() == "stored-there"
    assert Secrets(there).value(SecretRef(parameter="/p")).get_secret_value() == "also-there"
    for ref in (SecretRef(secret_id="s", key="k"), SecretRef(parameter="/p")):
        with pytest.raises(SecretMissing, match="can't be read"):
            Secrets(here).value(ref)


def test_what_logs_in_to_aws_cannot_lie_there(url: str) -> None:
    made = target(url, role_arn=ROLE, external_id={"secret_id": "x"})
    with pytest.raises(SecretMissing, match="needed to log in"):
        Secrets(made).value(SecretRef(secret_id="s"))


def test_the_external_id_and_the_role_are_asked_with(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Sts:
        def assume_role(self, **arguments: Any) -> dict[str, Any]:
            asked.append(arguments)
            return {
                "Credentials": {
                    "AccessKeyId": "ASIAEXAMPLE",
                    "SecretAccessKey": "x",
                    "SessionToken": "y",
                    "Expiration": "2099-01-01T00:00:00Z",
                }
            }

    monkeypatch.setattr(boto3.session.Session, "client", lambda *_, **__: Sts())
    login = KEYS.model_copy(update={"role_arn": ROLE, "external_id": SecretStr("ours")})
    frozen = make(login, "us-east-1").get_credentials().get_frozen_credentials()
    assert frozen.access_key == "ASIAEXAMPLE"
    assert asked == [{"RoleArn": ROLE, "RoleSessionName": "hokusai-validation", "ExternalId": "ours"}]


def test_a_session_token_goes_along() -> None:
    login = KEYS.model_copy(update={"session_token": SecretStr("a-token")})
    assert make(login, "us-east-1").get_credentials().token == "a-token"


def test_a_profile_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").write_text("[ours]\naws_access_key_id = P\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert make(Login(profile="ours"), "us-east-1").get_credentials().access_key == "P"


def test_a_profile_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "nothing"))
    calls = AwsCalls("us-east-1", login=Login(profile="gone"), attempts=1)
    with pytest.raises(AwsCredentialsRefused, match="gone"):
        calls.call("sts", "get_caller_identity")


def test_no_credentials_for_a_role_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "nothing"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "nothing"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    calls = AwsCalls("us-east-1", login=Login(role_arn=ROLE), attempts=1)
    with pytest.raises(AwsCredentialsRefused):
        calls.call("sts", "get_caller_identity")


@pytest.mark.parametrize("service", ["ecs", "secretsmanager", "rds", "sts", "ssm", "sqs", "elbv2"])
def test_fips_holds_for_every_client(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    for login in (KEYS, KEYS.model_copy(update={"role_arn": ROLE})):
        assert "fips" in AwsCalls("us-east-1", login=login).client(service).meta.endpoint_url


def test_a_proxy_holds_for_every_client(monkeypatch: pytest.MonkeyPatch) -> None:
    from hokusai_sandbox.ports import Reservations
    from hokusai_validation.errors import AwsUnavailable

    with Reservations(["proxy"]) as reserved:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{reserved.ports['proxy']}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        for login in (KEYS, KEYS.model_copy(update={"role_arn": ROLE})):
            with pytest.raises(AwsUnavailable, match="proxy"):
                AwsCalls("us-east-1", login=login, attempts=1).call("ecs", "list_clusters")
