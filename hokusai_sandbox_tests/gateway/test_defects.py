"""Every defect really changes the behaviour that it names, and nothing of it is in the good gateway."""

from contextlib import nullcontext

import pytest

from hokusai_sandbox.gateway.breaker_mutants import MUTANTS
from hokusai_sandbox.gateway.defects import DEFECTS, table, wire
from hokusai_sandbox.gateway.wiring import Wiring
from hokusai_sandbox_tests.gateway.promises import (
    ONLY_ASKED,
    PROMISES,
    SETTINGS,
    TAKES_LONG,
    VALUES,
)
from hokusai_sandbox_tests.gateway.rig import Rig, Running

OF_THE_BREAKER = {name for name, item in DEFECTS.items() if item.parts and item.parts[0][0] == "breaker"}


def test_each_defect_has_a_check() -> None:
    assert set(PROMISES) == set(DEFECTS) - OF_THE_BREAKER
    assert len(DEFECTS) >= 40
    assert set(PROMISES) > ONLY_ASKED
    assert not ONLY_ASKED & set(SETTINGS)
    assert set(PROMISES) > TAKES_LONG


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_says_what_it_is(name: str) -> None:
    defect = DEFECTS[name]
    assert defect.says.endswith(".")
    assert defect.contract.endswith(".")


def test_the_table_has_them_all() -> None:
    assert [line.split("`")[1] for line in table().splitlines()[2:]] == list(DEFECTS)


def test_breaker_mutants_are_wired() -> None:
    assert {wire((name,)).breaker for name in OF_THE_BREAKER} == set(MUTANTS.values())


def test_no_defect_no_change() -> None:
    assert wire(()) == Wiring()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.soak) if name in TAKES_LONG else name for name in PROMISES],
)
def test_the_good_gateway_keeps_the_promise_and_the_defect_breaks_it(
    rig: Rig, shared: Running, name: str
) -> None:
    settings = SETTINGS.get(name, {})
    with nullcontext(shared) if name in ONLY_ASKED else rig.start(**settings) as good:
        assert PROMISES[name](good)
    with rig.start(VALUES.get(name, name), **settings) as wrong:
        assert not PROMISES[name](wrong)


def test_defects_can_be_joined(rig: Rig) -> None:
    with rig.start("bearer_case_sensitive", "x_api_key_ignored", "bad_key_403", "slow=0.01") as wrong:
        assert wrong.get("/", headers={"Authorization": f"bearer {wrong.key}"}).status_code == 401
        assert wrong.get("/", headers={"X-API-Key": wrong.key}).status_code == 401
        assert wrong.get("/", key="hk_good_unknown0123456789").status_code == 403
        assert wrong.get("/", key=True).status_code == 200
