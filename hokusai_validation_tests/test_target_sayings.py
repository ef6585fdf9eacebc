"""What a target file can say of a stack that is otherwise, and what it can't."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from hokusai_validation.catalogue import entries, find
from hokusai_validation.catalogue.needs import missing
from hokusai_validation.cli import cli
from hokusai_validation.links.config import ConfigInvalid, read_config
from hokusai_validation.target import Target, read_target

EXAMPLES = Path(__file__).parents[1] / "deploy" / "examples"
SCHEMA = json.loads((EXAMPLES / "links.schema.json").read_text(encoding="utf-8"))


def target(**parts: Any) -> Target:
    return Target.model_validate({"name": "t", **parts})


def links(edge: str) -> dict[str, Any]:
    return {
        "instances": [{"name": "api-1", "url": "http://127.0.0.1:1"}],
        "links": {"url": "http://127.0.0.1:2", "edges": {edge: "link"}},
    }


@pytest.mark.parametrize("edge", ["api-1->mlflow", "mlflow->postgres"])
def test_an_edge_of_the_stack_is_taken(edge: str) -> None:
    assert target(**links(edge)).links is not None


@pytest.mark.parametrize("edge", ["api-9->mlflow", "api-1->nothing", "mlflow", "->mlflow"])
def test_an_edge_that_names_nothing_of_it_is_refused(edge: str) -> None:
    with pytest.raises(ValueError, match=r"links\.edges"):
        target(**links(edge))


def test_two_edges_may_stand_on_one_link() -> None:
    given = links("api-1->mlflow")
    given["links"]["edges"]["mlflow->postgres"] = "link"
    assert target(**given).links is not None


def test_there_may_be_no_tls() -> None:
    entry = find("TestTls::test_http_redirects_to_https")
    assert entry is not None
    plain = {"endpoints": {"registry": "http://127.0.0.1:1"}}
    assert missing(entry, target(**plain)) is None
    assert "no TLS" in (missing(entry, target(**plain, tls={"served": False})) or "")


def test_a_part_is_known_to_be_out_until_a_day() -> None:
    today = datetime.now(UTC).date()
    for until, known in ((today, True), (today - timedelta(days=1), False), (None, True)):
        of = target(topology={"redis": {"known_unhealthy": True, "known_unhealthy_until": until}})
        assert of.topology["redis"].is_known_unhealthy is known


def test_explain_lists_needs_and_edges() -> None:
    done = CliRunner().invoke(cli, ["explain"], standalone_mode=False)
    assert all(need in done.output for entry in entries() for need in entry.needs)
    assert "api -> auth, mlflow" in done.output
    assert max(map(len, done.output.splitlines())) <= 80


@pytest.mark.parametrize(
    "command", [["explain", "--target"], ["target", "check"], ["history"], ["report", "open"]]
)
def test_a_path_is_as_good_as_a_name(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "elsewhere.toml"
    path.write_text('name = "other"\n', encoding="utf-8")
    monkeypatch.setenv("HOKUSAI_RESULTS", str(tmp_path / "results"))
    assert read_target(str(path)).name == "other"
    done = CliRunner().invoke(cli, [*command, str(path)], standalone_mode=False)
    assert "other" in done.output + str(done.exception or "")
    assert "not known" not in str(done.exception or "")


def test_the_links_example_is_read() -> None:
    jsonschema.validate(json.loads((EXAMPLES / "links.json").read_text(encoding="utf-8")), SCHEMA)
    assert [each.name for each in read_config(EXAMPLES / "links.json")] == ["api-1.mlflow", "api-1.postgres"]


@pytest.mark.parametrize(
    "entry",
    [
        {"upstream": "a:1"},
        {"name": "a/b", "upstream": "a:1"},
        {"name": "a"},
        {"name": "a", "upstream": "a"},
        {"name": "a", "upstream": "a:1", "enabled": "yes"},
        {"name": "a", "upstream": "a:1", "more": 1},
    ],
)
def test_schema_and_program_refuse_the_same(entry: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "links.json"
    path.write_text(json.dumps([entry]), encoding="utf-8")
    with pytest.raises(ConfigInvalid):
        read_config(path)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([entry], SCHEMA)
