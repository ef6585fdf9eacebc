"""Whoever plays a role plays it under any name, and each role is played once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.target import Target
from hokusai_validation.topology import DEFAULT_TOPOLOGY, Role

names = st.from_regex(r"[a-z][a-z_-]{0,12}", fullmatch=True)


def target(topology: dict[str, dict[str, object]]) -> Target:
    return Target.model_validate({"name": "t", "topology": topology})


def test_every_role_is_played_by_a_default_component() -> None:
    assert sorted(part.role or "" for part in DEFAULT_TOPOLOGY.values()) == sorted(Role)


def test_a_component_of_the_files_own_takes_a_roles_place_and_its_edges() -> None:
    of = target({"gate": {"role": "api_gateway", "team": "edge"}})
    assert of.named(Role.API_GATEWAY) == "gate"
    assert "api" not in of.topology
    assert of.topology["gate"].critical
    assert of.topology["gate"].team == "edge"
    assert of.topology["load_balancer"].depends_on == ("gate", "auth")
    assert of.role("gate") is Role.API_GATEWAY
    assert of.role("api") is None


def test_a_key_that_the_file_leaves_out_stays_the_contracts() -> None:
    of = target({"redis": {"deployed": False}})
    assert of.named(Role.CACHE) == "redis"
    assert of.topology["redis"].optional
    assert not of.topology["redis"].deployed


@pytest.mark.parametrize(
    ("topology", "says"),
    [
        ({"a": {"role": "auth"}, "b": {"role": "auth"}}, "role `auth` is played by `a` and `b`"),
        ({"api": {"role": "auth"}}, "role `api_gateway` is played by no component"),
        ({"a": {"role": "king"}}, "topology.a.role"),
        ({"a": {"nonsense": 1}}, "topology.a.nonsense"),
    ],
)
def test_a_role_that_is_played_twice_or_not_at_all_is_refused(
    topology: dict[str, dict[str, object]], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        target(topology)


@given(st.dictionaries(st.sampled_from(list(Role)), names, max_size=4))
def test_any_names_will_do_and_a_target_survives_its_own_json(chosen: dict[Role, str]) -> None:
    free = {role: f"{name}-x" for role, name in chosen.items()}
    if len(set(free.values())) != len(free):
        return
    of = target({name: {"role": role.value} for role, name in free.items()})
    assert {role: of.named(role) for role in free} == free
    assert Target.model_validate_json(of.model_dump_json()) == of
    edges = {below for part in of.topology.values() for below in part.depends_on}
    assert edges <= set(of.topology)
