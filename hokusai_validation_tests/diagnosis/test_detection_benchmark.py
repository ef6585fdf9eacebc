"""The benchmark of the diagnosis itself: what is drawn, how it is judged, counted and kept."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.detection import effect
from benchmarks.detection.cases import CASES, SCENARIOS, read
from benchmarks.detection.draws import random_draws, read_draws
from benchmarks.detection.grammar import faults, together
from benchmarks.detection.judge import judge
from benchmarks.detection.measured import PROGRAM, Seen, left_range
from benchmarks.detection.model import Draw, Effect, Expected, Outcome, Record, Said
from benchmarks.detection.records import Records
from benchmarks.detection.totals import table, totals
from hokusai_sandbox.changes.applied import kinds
from hokusai_sandbox.plan import EDGES
from hokusai_sandbox.scenarios import find
from hokusai_validation.report import Cause

SEEDS = st.integers(0, 10_000)
TOTALS = {
    *("seeds", "runs", "singles", "singles_top1", "pairs", "pairs_all", "triples", "triples_all"),
    *("extra_findings", "wrong_p0", "control_runs", "false_findings", "cases", "cases_right", "no_effect"),
    "alternatives",
}
DOWN = Expected(cause=Cause.PROCESS_DOWN, place="redis")
SLOW = Expected(cause=Cause.SLOW_INSTANCE, place="api", instance="api-2")


def said(cause: str, place: str, priority: str = "P1", **more: object) -> Said:
    return Said.model_validate({"cause": cause, "place": place, "priority": priority, **more})


def test_the_grammar_has_at_least_sixty_combinations_and_each_can_be_made() -> None:
    assert len({(fault.part, fault.kind) for fault in faults()}) >= 60
    known = kinds()
    for fault in faults():
        assert fault.probes, fault.id
        assert set(fault.probes) <= set(effect.OPERATIONS), fault.id
        for change in fault.changes:
            assert change["do"] in known, fault.id
            edges = change.get("edges", [])
            assert isinstance(edges, list)
            assert set(map(str, edges)) <= set(EDGES), fault.id


@given(SEEDS)
def test_a_seed_draws_the_same_again_evenly_and_in_the_promised_shares(seed: int) -> None:
    draws = random_draws(44, seed)
    assert draws == random_draws(44, seed)
    assert random_draws(10, seed) == draws[:10]
    assert Counter(draw.size for draw in draws) == {1: 24, 2: 12, 3: 8}
    assert sum(draw.blind for draw in draws) == sum(draw.busy for draw in draws) == 22
    drawn = Counter(fault.id for draw in draws for fault in draw.faults)
    assert max(drawn.values()) == 1  # 72 of more: none comes again before all have come
    for draw in draws:
        for one in draw.faults:
            assert all(together(one, other) for other in draw.faults if other is not one)


def test_draws_from_elsewhere_are_read_as_they_are_written(tmp_path: Path) -> None:
    draws = random_draws(11, 3)
    file = tmp_path / "draws.jsonl"
    file.write_text("\n".join(draw.model_dump_json() for draw in draws) + "\n")
    assert read_draws(file) == draws
    file.write_text('{"id": "x", "nonsense": 1}\n')
    with pytest.raises(ValueError, match="nonsense"):
        read_draws(file)


@pytest.mark.parametrize("path", [CASES, SCENARIOS], ids=lambda path: path.stem)
def test_what_has_a_name_exists(path: Path) -> None:
    draws = read(path)
    assert len({draw.id for draw in draws}) == len(draws)
    for draw in draws:
        assert draw.scenario or draw.faults
        find(draw.scenario)


@pytest.mark.parametrize(
    ("found", "right", "extra"),
    [
        ((said("process_down", "redis"),), True, 0),
        ((said("process_down", "redis"), said("wrong_status", "api")), True, 1),
        ((said("wrong_status", "api"), said("process_down", "redis")), False, 1),
        ((said("process_down", "mlflow"),), False, 1),
        ((said("process_down", "redis", instance="api-2"),), False, 1),
        ((), False, 0),
    ],
)
def test_a_single_is_right_by_its_first_finding(found: tuple[Said, ...], right: bool, extra: int) -> None:
    outcome = judge(Draw(id="x", expects=(DOWN,), scenario="redis_down"), found)
    assert (outcome.right, len(outcome.extra)) == (right, extra)


@pytest.mark.parametrize(
    ("blind", "instance", "right"),
    [
        (False, "api-2", True),
        (False, None, False),
        (False, "api-1", False),
        (True, None, True),
        (True, "api-1", False),
    ],
)
def test_the_instance_must_be_the_right_one_or_none_where_none_can_be_told(
    blind: bool, instance: str | None, right: bool
) -> None:
    draw = Draw(id="x", expects=(SLOW,), scenario="slow_instance", blind=blind)
    assert judge(draw, (said("slow_instance", "api", instance=instance),)).right is right


def test_of_a_pair_all_must_be_found() -> None:
    draw = Draw(id="x", expects=(DOWN, SLOW), scenario="redis_down+slow_instance")
    both = (said("slow_instance", "api", instance="api-2"), said("process_down", "redis"))
    assert judge(draw, both).right
    alone = judge(draw, both[:1])
    assert (alone.right, alone.all_found, len(alone.missing)) == (False, False, 1)


def test_a_control_gives_nothing_and_a_draw_without_effect_nothing_above_p3() -> None:
    low = (said("store_nearly_full", "redis", "P3"),)
    assert not judge(Draw(id="clean"), low).right
    assert judge(Draw(id="clean"), ()).right
    draw = Draw(id="x", expects=(DOWN,), scenario="redis_down")
    assert judge(draw, low, effective=False).right
    outcome = judge(draw, (said("unknown", "api", "P0"),), effective=False)
    assert (outcome.right, len(outcome.wrong_p0)) == (False, 1)


def test_a_case_is_held_to_its_priority_and_to_the_word_of_its_remedy() -> None:
    wanted = Expected(cause=Cause.READ_ONLY, place="postgres", priority="P0", remedy="writer")
    draw = Draw(id="C1", case="C1", scenario="database_read_only", expects=(wanted,))
    assert judge(draw, (said("read_only", "postgres", "P0", remedy=("Lead it to the Writer.",)),)).right
    assert not judge(draw, (said("read_only", "postgres", "P1", remedy=("the writer",)),)).right
    assert not judge(draw, (said("read_only", "postgres", "P0", remedy=("restart it",)),)).right


def test_every_alternative_has_a_reason_and_is_counted() -> None:
    wanted = Expected(cause=Cause.NAME_STALE, place="mlflow")
    draw = Draw(id="x", expects=(wanted,), scenario="name_stale")
    outcome = judge(draw, (said("name_stale", "service_discovery"),))
    assert (outcome.right, outcome.alternatives) == (True, 1)


def seen(
    good: int = 4, latencies: tuple[float, ...] = (10, 11, 12, 13), answered: tuple[str, ...] = ()
) -> Seen:
    return Seen(tries=4, good=good, latencies_ms=latencies, said=answered)


@pytest.mark.parametrize(
    ("after", "left"),
    [
        (seen(), False),
        (seen(good=3), True),
        (seen(latencies=(10, 14, 90, 100)), False),
        (seen(latencies=(300, 310, 320, 330)), True),
        (seen(answered=("other",)), True),
    ],
)
def test_an_effect_is_an_operation_that_left_its_range(after: Seen, left: bool) -> None:
    assert left_range(seen(), after) is left


def test_the_program_that_looks_for_effects_imports_nothing_of_ours() -> None:
    script = f"import sys, runpy; runpy.run_path({str(PROGRAM)!r}); print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert not [name for name in ("hokusai_validation", "hokusai_sandbox", "benchmarks") if name in loaded]
    text = PROGRAM.read_text()
    assert not [name for name in ("import hokusai", "from hokusai", "from benchmarks") if name in text]


def record(
    draw: Draw, outcome: Outcome, *found: Said, effects: tuple[Effect, ...] = (), error: str = ""
) -> Record:
    return Record(draw=draw, outcome=outcome, said=found, effects=effects, error=error)


def test_the_counts_have_the_names_of_the_goals() -> None:
    draws = random_draws(11, 5)
    single = next(draw for draw in draws if draw.size == 1)
    pair = next(draw for draw in draws if draw.size == 2)
    clean = Draw(id="clean-1")
    right, wrong = Outcome(right=True, all_found=True), Outcome(right=False, extra=("P2 x@y",))
    nothing = (Effect(fault=single.faults[0].id, seen=False),)
    counted = totals(
        [
            record(single, right),
            record(single.model_copy(update={"id": "other"}), wrong, effects=nothing),
            record(pair, wrong),
            record(clean, wrong, said("unknown", "api")),
            record(Draw(id="C1", case="C1", scenario="redis_down", expects=(DOWN,)), right),
            record(pair.model_copy(update={"id": "third"}), wrong, error="it broke"),
        ]
    )
    assert set(counted) >= TOTALS
    expected = {"seeds": [5], "runs": 5, "singles": 1, "singles_top1": 1, "pairs": 1, "pairs_all": 0}
    expected |= {"extra_findings": 2, "control_runs": 1, "false_findings": 1, "cases": 1, "cases_right": 1}
    expected |= {"no_effect": 1, "errors": 1}
    assert {name: counted[name] for name in expected} == expected
    assert "no effect" in table([record(single, wrong, effects=nothing)])


def test_records_are_kept_a_line_each_and_a_torn_line_loses_its_draw_alone(tmp_path: Path) -> None:
    records = Records(tmp_path)
    draws = random_draws(3, 8)
    for draw in draws:
        records.keep(record(draw, Outcome(right=True)))
    lines = tmp_path / "draws.jsonl"
    assert [json.loads(line)["draw"]["id"] for line in lines.read_text().splitlines()] == [
        d.id for d in draws
    ]
    lines.write_text(lines.read_text()[:-40])
    assert [item.draw for item in records.read()] == list(draws[:2])
