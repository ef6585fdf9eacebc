"""How fast and how true the load engine is, side by side with others in one run.

    python -m benchmarks.load_engine [--json] [--locust DIR/bin/locust]

Throughput is requests for each second of CPU time that the generator used, against a static nginx
over 20 connections: on two cores nginx, not the generator, is the limit of requests a second.
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from benchmarks.load_peers import CONNECTIONS, PERCENTILES, Measured, Peer, peers
from benchmarks.load_servers import nginx, stalling
from benchmarks.load_stalling import stalled_for
from hokusai_validation.load.engine import Engine
from hokusai_validation.load.plan import Closed, Endpoint, Open, Origin, Plan
from hokusai_validation.load.schedule import constant

OURS = "hokusai-validation"
RATE = 1000.0
IN_FLIGHT = 128  # a stall of 100 ms holds 100 requests
NAMES = ("p50_ms", "p95_ms", "p99_ms", "p99_9_ms")
RATIO_GOALS = {"wrk": 0.5, "hey": 1.5, "locust": 5.0, "aiohttp": 4.0}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON only.")
@click.option("--locust", metavar="PATH", help="Locust's executable, or the virtual environment it is in.")
@click.option(
    "--rounds", type=click.IntRange(1, 20), default=3, show_default=True, help="Throughput: turns of each."
)
@click.option(
    "--seconds", type=click.IntRange(1, 60), default=3, show_default=True, help="Throughput: of each turn."
)
@click.option("--truth-seconds", type=click.IntRange(20, 120), default=20, show_default=True,
              help="Truth: of each tool; a p99.9 needs 20 s.")  # fmt: skip
def main(as_json: bool, locust: str | None, rounds: int, seconds: int, truth_seconds: int) -> None:
    """Measure, and print a table or JSON."""
    found = peers(locust)
    here = [peer for peer in found if peer.path is not None]
    say: Callable[[str], None] = (lambda text: None) if as_json else click.echo
    result: dict[str, Any] = {"missing": [{"tool": p.tool, "get": p.get} for p in found if p.path is None]}
    for missing in result["missing"]:
        say(f"{missing['tool']} is missing; to get it: {missing['get']}")
    with nginx() as port, Engine() as engine:
        say(f"throughput: {rounds} × {seconds} s each, {CONNECTIONS} connections, against nginx")
        result["throughput"] = _throughput(engine, port, here, rounds, seconds)
        say(f"steady: 10 s at {RATE:g}/s against nginx")
        result["steady"] = _steady(engine, port)
    by_tool = {row["tool"]: row["requests_per_cpu_s"] for row in result["throughput"]}
    result["ratio_to"] = {
        tool: round(by_tool[OURS] / by_tool[tool], 3) for tool in RATIO_GOALS if tool in by_tool
    }
    with stalling() as port, Engine() as engine:
        say(f"truth: {truth_seconds} s each at {RATE:g}/s against a server that stalls 100 ms once a second")
        result["truth"] = _truth(engine, port, here, truth_seconds)
    result["memory"] = _memory()
    result["goals"] = _goals(result)
    if as_json:
        click.echo(json.dumps(result, indent=1))
    else:
        _show(result)


def _origin(port: int) -> Origin:
    return Origin("http", "127.0.0.1", port, ("127.0.0.1",))


def _ours(engine: Engine, port: int, seconds: float, *, reuse_answers: bool) -> Measured:
    plan = Plan(
        _origin(port),
        (Endpoint("/", "/"),),
        Closed(duration_s=seconds),
        connections=CONNECTIONS,
        reuse_answers=reuse_answers,
    )
    outcome = engine.run(plan)
    # Both latencies of every request, or the comparison would not be a fair one.
    assert outcome.good == outcome.requests == outcome.intended.count == outcome.sent.count
    name = OURS if reuse_answers else f"{OURS}, every answer parsed"
    cpu_s = outcome.check.cpu_share * outcome.elapsed_s
    return Measured(name, outcome.requests, outcome.elapsed_s, cpu_s, (None,) * 4)


def _throughput(
    engine: Engine, port: int, here: list[Peer], rounds: int, seconds: int
) -> list[dict[str, Any]]:
    """One row a tool, turns taken in rounds so that a busy machine is busy for all."""
    url = f"http://127.0.0.1:{port}/"
    total: dict[str, Measured] = {}

    def take(measured: Measured) -> None:
        before = total.get(measured.tool)
        total[measured.tool] = measured if before is None else replace(
            before,
            requests=before.requests + measured.requests,
            seconds=before.seconds + measured.seconds,
            cpu_s=before.cpu_s + measured.cpu_s,
        )  # fmt: skip

    for _ in range(rounds):
        take(_ours(engine, port, seconds, reuse_answers=True))
        take(_ours(engine, port, seconds, reuse_answers=False))
        for peer in here:
            take(peer.run(peer.path or "", url, seconds, None))
    return [
        {
            "tool": each.tool,
            "requests": each.requests,
            "requests_per_s": round(each.requests / each.seconds),
            "cpu_s": round(each.cpu_s, 3),
            "requests_per_cpu_s": round(each.requests / each.cpu_s),
        }
        for each in total.values()
    ]


def _steady(engine: Engine, port: int) -> dict[str, float]:
    plan = Plan(_origin(port), (Endpoint("/", "/"),), Open(constant(RATE, 10)), connections=CONNECTIONS)
    check = engine.run(plan).check
    return {
        "rate_per_s": RATE,
        "lag_p50_ms": round(check.lag.percentile_ms(50) or 0, 4),
        "lag_p99_ms": round(check.lag.percentile_ms(99) or 0, 4),
        "lag_max_ms": round(check.lag.max_ms or 0, 4),
        "cpu_share": round(check.cpu_share, 4),
    }


def _truth(engine: Engine, port: int, here: list[Peer], seconds: int) -> list[dict[str, Any]]:
    """Percentiles as worked out from the stalls, as we measure them, and as others do."""
    schedule = constant(RATE, seconds)
    plan = Plan(_origin(port), (Endpoint("/", "/"),), Open(schedule), connections=IN_FLIGHT)
    # A part of a millisecond beside the beginning of a stall: else the last request before it would be
    # due a few microseconds early, and whether it is caught would be a matter of luck.
    running = engine.start(plan, at=math.ceil(time.perf_counter() + 1) + 0.5005)
    outcome = running.result()
    worked_out = sorted(
        stalled_for(running.started + schedule.when(index)) * 1000 for index in range(schedule.total)
    )
    expected = [worked_out[-int(-len(worked_out) * p // 100) - 1] for p in PERCENTILES]
    rows = [
        _row("worked out from the stalls", schedule.total, expected),
        _row(OURS, outcome.requests, [outcome.intended.percentile_ms(p) for p in PERCENTILES]),
        _row(f"{OURS}, since sent", outcome.requests, [outcome.sent.percentile_ms(p) for p in PERCENTILES]),
    ]
    url = f"http://127.0.0.1:{port}/"
    for peer in here:
        measured = peer.run(peer.path or "", url, seconds, RATE)
        rows.append(_row(measured.tool, measured.requests, list(measured.percentiles)))
    return rows


def _row(tool: str, requests: int, percentiles: list[float | None] | list[float]) -> dict[str, Any]:
    shown = {
        name: None if value is None else round(value, 3)
        for name, value in zip(NAMES, percentiles, strict=True)
    }
    return {"tool": tool, "requests": requests, **shown}


def _memory() -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load_memory"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    values = json.loads(done.stdout)
    mb = 1024 * 1024
    return {
        "after_1e5_mb": round(values["first"] / mb, 2),
        "after_1e7_mb": round(values["last"] / mb, 2),
        "growth_mb": round((values["last"] - values["first"]) / mb, 2),
        "ns_per_sample": round(values["ns_per_sample"]),
    }


def _goals(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Each goal with what was measured and whether it was met."""
    goals = [
        {"goal": f"at least {goal:g} × {tool}", "measured": result["ratio_to"][tool],
         "met": result["ratio_to"][tool] >= goal}
        for tool, goal in RATIO_GOALS.items() if tool in result["ratio_to"]
    ]  # fmt: skip
    steady, memory = result["steady"], result["memory"]
    expected, ours = result["truth"][0], result["truth"][1]
    goals += [
        {
            "goal": f"{name} within 2 % or 1 ms of {expected[name]:g} ms",
            "measured": ours[name],
            "met": abs(ours[name] - expected[name]) <= max(1.0, 0.02 * expected[name]),
        }
        for name in NAMES
    ]
    goals += [
        {"goal": "send lag p99 at 1,000/s at most 2 ms", "measured": steady["lag_p99_ms"], "met": steady["lag_p99_ms"] <= 2},
        {"goal": "own CPU at 1,000/s at most 15 % of a core", "measured": steady["cpu_share"], "met": steady["cpu_share"] <= 0.15},
        {"goal": "memory flat (± 5 MB) from 10⁵ to 10⁷ samples", "measured": memory["growth_mb"], "met": abs(memory["growth_mb"]) <= 5},
    ]  # fmt: skip
    return goals


def _show(result: dict[str, Any]) -> None:
    click.echo(f"\n{'throughput':<40}{'requests/s':>12}{'requests/CPU s':>16}{'ours is':>10}")
    for row in result["throughput"]:
        ratio = result["ratio_to"].get(row["tool"])
        shown = "" if ratio is None else f"{ratio:.2f} ×"
        click.echo(
            f"{row['tool']:<40}{row['requests_per_s']:>12,}{row['requests_per_cpu_s']:>16,}{shown:>10}"
        )
    click.echo(f"\n{'truth: latency in ms':<40}{'p50':>10}{'p95':>10}{'p99':>10}{'p99.9':>10}")
    for row in result["truth"]:
        values = "".join(f"{'n/a' if row[name] is None else f'{row[name]:.2f}':>10}" for name in NAMES)
        click.echo(f"{row['tool']:<40}{values}")
    click.echo("")
    for goal in result["goals"]:
        click.echo(f"{'met    ' if goal['met'] else 'NOT MET'}  {goal['goal']}: {goal['measured']}")


if __name__ == "__main__":
    main()
