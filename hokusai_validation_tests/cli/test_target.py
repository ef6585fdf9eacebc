"""`target discover` against the sandbox's AWS, by its own calls alone, and `target check` without any."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from hokusai_validation.cli.target import target
from hokusai_validation.cli.target_text import text
from hokusai_validation.resources.aws.account import Account, component_of, read
from hokusai_validation.target import Target, read_target
from hokusai_validation_tests.suite_aws import cloud as clouds
from hokusai_validation_tests.suite_aws.cloud import Cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with clouds.running(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture
def keys(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", cloud.plan.secrets.aws_access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", cloud.plan.secrets.aws_secret_key)


def discovered(cloud: Cloud, path: Path) -> str:
    section = cloud.target.aws
    assert section is not None
    asked = ["discover", "--cluster", section.cluster, "--endpoint-url", str(section.endpoint_url)]
    done = CliRunner().invoke(
        target, [*asked, "--name", "found", "--output", str(path)], catch_exceptions=False
    )
    return done.output


@pytest.mark.usefixtures("keys")
def test_an_account_becomes_a_target_file(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "found.toml"
    discovered(cloud, path)
    made, known = read_target(str(path)).aws, cloud.target.aws
    assert made is not None
    assert known is not None
    assert {name: each.service for name, each in made.services.items()} == {
        name: each.service for name, each in known.services.items()
    }
    for name, each in made.services.items():
        assert each.target_group == known.services[name].target_group
        assert each.log_group == known.services[name].log_group
    assert set(made.load_balancers) == set(known.load_balancers)
    assert made.namespace == known.namespace
    assert made.discovery_names == known.discovery_names
    assert made.rds_instance == known.rds_instance
    assert made.elasticache_cluster == known.elasticache_cluster
    assert str(known.database_secret) in path.read_text()
    assert cloud.plan.secrets.aws_secret_key not in path.read_text()


@pytest.mark.usefixtures("keys")
def test_nothing_is_written_over(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "found.toml"
    path.write_text("mine")
    with pytest.raises(Exception, match="nothing is written over"):
        discovered(cloud, path)
    assert path.read_text() == "mine"


def test_what_may_not_be_read_is_a_comment(cloud: Cloud) -> None:
    heard: list[str] = []
    with cloud.state("permission_missing", action="rds:DescribeDBInstances"):
        found = read(cloud.aws(observer=heard.append))
    written = text("t", "us-east-1", found)
    assert "# Not read: rds:DescribeDBInstances" in written
    assert Target.model_validate(tomllib.loads(written)).aws is not None
    # Only reading.
    assert all(action.partition(":")[2].startswith(("Describe", "List", "Get")) for action in heard)


def test_names_that_are_hostile_stay_inside_their_strings() -> None:
    account = Account(account_id="1", cluster='a"\n[permissions]\nfaults = ["kill"]\n#', unread=("x\n[y]",))
    made = Target.model_validate(tomllib.loads(text("t", "us-east-1", account)))
    assert made.permissions.faults == ()


def test_a_component_is_a_whole_word_of_a_name() -> None:
    assert component_of("hokusai-api-development", ("api", "auth")) == "api"
    assert component_of("rapid-authors", ("api", "auth")) is None


def test_check_says_what_would_run_and_why_not(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text('name = "some"\n[endpoints]\nregistry = "http://127.0.0.1:9"\n')
    done = CliRunner().invoke(target, ["check", str(path)], catch_exceptions=False)
    assert "some: the file is usable." in done.output
    assert "skipped, no AWS configured: " in done.output
    assert "would be skipped." in done.output
