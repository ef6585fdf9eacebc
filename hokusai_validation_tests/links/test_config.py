"""The configuration file, good and bad."""

import json
from pathlib import Path

import pytest

from hokusai_validation.links.config import (
    ConfigInvalid,
    ProxyConfig,
    join_address,
    read_config,
    split_address,
)


def test_toxiproxys_form_is_read(tmp_path: Path) -> None:
    file = tmp_path / "links.json"
    file.write_text('[{"name": "a", "listen": "[::1]:80", "upstream": "db:5432", "enabled": false}]')
    assert read_config(file) == (ProxyConfig("a", "[::1]:80", "db:5432", enabled=False),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not valid JSON"),
        ("{}", "a JSON list"),
        ("[1]", "a JSON object"),
        ('[{"name": "a"}]', "upstream"),
        ('[{"name": "a/b", "upstream": "x:1"}]', "name"),
        ('[{"name": "a", "upstream": "x:1"}, {"name": "a", "upstream": "x:2"}]', "twice"),
        ('[{"name": "a", "upstream": "x:99999"}]', "99999"),
        ('[{"name": "a", "upstream": "x:1", "enabled": 1}]', "enabled"),
    ],
)
def test_bad_files_are_refused_by_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "links.json"
    file.write_text(text)
    with pytest.raises(ConfigInvalid, match=says):
        read_config(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"none\.json can't be read"):
        read_config(tmp_path / "none.json")


@pytest.mark.parametrize("address", ["127.0.0.1:80", "[::1]:8080", "host.name:0"])
def test_addresses_are_split_and_joined(address: str) -> None:
    assert join_address(*split_address(address)) == address


def test_a_port_alone_means_every_address() -> None:
    assert split_address(":80") == ("0.0.0.0", 80)


def test_the_form_is_json_all_the_way(tmp_path: Path) -> None:
    file = tmp_path / "links.json"
    file.write_text(json.dumps([]))
    assert read_config(file) == ()
