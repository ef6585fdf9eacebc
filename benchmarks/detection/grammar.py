"""Every fault that can be drawn: `grammar.toml`, multiplied out."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.detection.model import Expected, Fault
from hokusai_validation.report import Cause

FILE = Path(__file__).with_name("grammar.toml")
SHARE = 'split_clients "$request_id" $chosen { 20% 1; * 0; }'
LAST = "api-2"


@cache
def faults() -> tuple[Fault, ...]:
    """All of them, each of its own id `PART KIND DUTY`."""
    grammar = _grammar()
    found = [
        *_ways(grammar),
        *_proxies(grammar),
        *_processes(grammar),
        *(_alone(item) for item in grammar["fault"]),
    ]
    ids = [fault.id for fault in found]
    if len(set(ids)) != len(ids):
        raise ValueError(f"Faults of the same name: {sorted({item for item in ids if ids.count(item) > 1})}.")
    return tuple(found)


def together(one: Fault, other: Fault) -> bool:
    """Whether both can be seen at once: they are at different places, and neither hides the other."""
    hides: Mapping[str, list[str]] = _grammar()["hides"]
    places = [{fault.part, *(item.place for item in fault.expected)} for fault in (one, other)]
    if places[0] & places[1]:
        return False
    return not any(
        first.outage and second.part in hides.get(first.part, ())
        for first, second in ((one, other), (other, one))
    )


@cache
def _grammar() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def _fault(part: str, kind: str, duty: str, **values: Any) -> Fault:
    return Fault.model_validate(
        {"id": f"{part} {kind} {duty}", "part": part, "kind": kind, "duty": duty, **values}
    )


def _ways(grammar: Mapping[str, Any]) -> Iterator[Fault]:
    for part, edge in grammar["edge"].items():
        for way in grammar["way"]:
            for duty in ("always", *way.get("duties", ())):
                if duty == "one_instance" and "one" not in edge:
                    continue
                yield _way(part, edge, way, duty)


def _way(part: str, edge: Mapping[str, Any], way: Mapping[str, Any], duty: str) -> Fault:
    alone = duty == "one_instance"
    links = [edge["one"]] if alone else edge["links"]
    changes: list[dict[str, object]] = [
        {"do": "link", "edges": links, "toxic": toxic} for toxic in way.get("toxics", ())
    ]
    if way.get("cut"):
        changes.append({"do": "link", "edges": links, "cut": True})
    slow = way["kind"] == "slow"
    expected = Expected(cause=way["cause"], place=edge["place"])
    if duty == "once":
        expected = Expected(cause=Cause.AWAY, place=edge["place"])
    elif edge.get("balancer") and not slow:
        # From outside, all that a balancer meets on its way to a target is one thing.
        expected = Expected(
            cause=Cause.TARGET_UNHEALTHY, place=edge["place"], instance=LAST if alone else None
        )
    elif alone:
        expected = Expected(cause=Cause.BAD_INSTANCE, place="api", instance=LAST)
    probes = (
        [f"parts@{LAST}"] if alone and edge["place"] in ("mlflow", "postgres", "redis") else edge["probes"]
    )
    return _fault(
        part,
        way["kind"],
        duty,
        changes=changes,
        probes=probes,
        expected=[expected],
        outage=way.get("outage", True) and duty == "always",
    )


def _proxies(grammar: Mapping[str, Any]) -> Iterator[Fault]:
    for part, edge in grammar["edge"].items():
        for proxy in grammar["proxy"] if edge.get("http") else ():
            change = {"do": "nginx", "edges": edge["links"], "http": SHARE, "location": proxy["location"]}
            expected = Expected(cause=proxy["cause"], place=edge["place"])
            yield _fault(
                part, proxy["kind"], "share", changes=[change], probes=edge["probes"], expected=[expected]
            )


PROCESS_PROBES = {"mlflow": "search", "redis": "redis_set", "auth": "auth", "postgres": "sql_read"}


def _processes(grammar: Mapping[str, Any]) -> Iterator[Fault]:
    for item in grammar["process"]:
        for process in item["processes"]:
            duty = item.get("duty", "always")
            yield _fault(
                process,
                item["kind"],
                duty,
                changes=[{"do": item["do"], "process": process}],
                probes=[PROCESS_PROBES[process]],
                expected=[Expected(cause=item["cause"], place=process)],
                outage=duty == "always",
            )


def _alone(item: Mapping[str, Any]) -> Fault:
    values = {key: value for key, value in item.items() if key not in ("part", "kind", "duty", "expected")}
    return _fault(
        item["part"], item["kind"], item.get("duty", "always"), expected=[item["expected"]], **values
    )
