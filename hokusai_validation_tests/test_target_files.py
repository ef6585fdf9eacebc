"""The tracked target files are usable, careful, and the example shows every key there is."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from hokusai_validation import target_file
from hokusai_validation.checks import Bounds
from hokusai_validation.sections import Database, Redis, SecretRef, secret_refs
from hokusai_validation.target import Target, read_target

TARGETS = Path(__file__).parent.parent / "targets"
SHOWN_ELSEWHERE = (SecretRef, Bounds)
REAL = ("development", "production")
# `# key = value` and `# [table]`: a key that is shown, but switched off.
SWITCHED_OFF = re.compile(r"^# (?=[a-z_\".]+ = |\[)", re.MULTILINE)


def everything_shown() -> dict[str, Any]:
    text = (TARGETS / "example.toml").read_text(encoding="utf-8")
    return tomllib.loads(SWITCHED_OFF.sub("", text))


def unshown(model: type[BaseModel], values: Mapping[str, Any], where: str = "") -> list[str]:
    """Keys of a model that stand nowhere in these values."""
    gone: list[str] = []
    for name, field in model.model_fields.items():
        path = f"{where}{name}"
        if name not in values:
            gone.append(path)
            continue
        value = values[name]
        for inner in sections_of(field.annotation):
            if inner in SHOWN_ELSEWHERE or (where and inner in (Database, Redis)):
                continue
            if isinstance(value, list):
                gone += unshown(inner, together(value), f"{path}.")
            elif values_are_sections(field.annotation):
                gone += unshown(inner, together(value.values()), f"{path}.*.")
            elif isinstance(value, dict):
                gone += unshown(inner, value, f"{path}.")
    return gone


def together(tables: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """All that several tables show."""
    return reduce(target_file.merged, (each for each in tables if isinstance(each, dict)), {})


def sections_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from sections_of(each)


def values_are_sections(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is Mapping or any(
        values_are_sections(each) for each in get_args(annotation)
    )


def test_example_is_usable_as_it_stands() -> None:
    assert read_target(str(TARGETS / "example.toml")).name == "example"


def test_example_shows_every_key() -> None:
    assert unshown(Target, everything_shown()) == []


def test_example_is_usable_with_every_key_switched_on() -> None:
    # A stack of the contract: `catalogue = false` excludes its links.
    target = Target.model_validate(everything_shown() | {"catalogue": True})
    refs = secret_refs(target)
    assert any(ref.env for ref in refs)
    assert any(ref.secret_id and ref.key for ref in refs)


@pytest.mark.parametrize("name", REAL)
def test_real_targets_are_careful(name: str) -> None:
    target = read_target(str(TARGETS / f"{name}.toml"))
    assert target.permissions.faults == ()
    assert target.permissions.load is not None
    assert target.permissions.load.max_rate <= 20
    assert target.permissions.load.rate <= target.permissions.load.max_rate
    assert target.database is not None
    assert target.database.user == "mlflow"
    assert target.control is None
    assert target.links is None
    assert all(url.startswith("https://") for url in target.endpoints.model_dump(exclude_none=True).values())


def test_production_is_only_read() -> None:
    target = read_target(str(TARGETS / "production.toml"))
    assert target.production
    assert not target.permissions.write


@pytest.mark.parametrize("name", [*REAL, "example"])
def test_no_secret_stands_in_a_target_file(name: str) -> None:
    text = (TARGETS / f"{name}.toml").read_text(encoding="utf-8")
    assert not re.search(r"hk_\w+_\w{6,}|AKIA|password\s*=\s*\"", text)


@pytest.mark.parametrize("name", REAL)
def test_the_api_gets_its_proxy_paths(name: str) -> None:
    target = read_target(str(TARGETS / f"{name}.toml"))
    assert target.aws is not None
    proxied = [route for route in target.aws.routes if "mlflow" in route.path]
    assert proxied
    assert {route.component for route in proxied} == {"api"}
