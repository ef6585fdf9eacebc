"""The plain way with aiohttp: one session, 20 tasks that ask and record (see load_peers.py)."""

import asyncio
import json
import sys
import time

import aiohttp
import uvloop


async def _ask(
    session: aiohttp.ClientSession, url: str, end: float, pause_s: float, times: list[float]
) -> None:
    due = time.perf_counter()
    while (began := time.perf_counter()) < end:
        async with session.get(url) as answer:
            await answer.read()
        times.append(time.perf_counter() - began)
        if pause_s:
            due += pause_s
            await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def _main(url: str, seconds: float, connections: int, rate: float | None) -> None:
    times: list[float] = []
    pause_s = connections / rate if rate else 0.0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        used, began = time.process_time(), time.perf_counter()
        await asyncio.gather(
            *(_ask(session, url, began + seconds, pause_s, times) for _ in range(connections))
        )
        used, took = time.process_time() - used, time.perf_counter() - began
    times.sort()
    ranks = [times[min(len(times) - 1, int(len(times) * p / 100))] * 1000 for p in (50, 95, 99, 99.9)]
    result = {"requests": len(times), "seconds": took, "cpu_s": used, "percentiles": ranks}
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    given_rate = sys.argv[4] if len(sys.argv) > 4 else ""
    uvloop.run(
        _main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(given_rate) if given_rate else None)
    )
