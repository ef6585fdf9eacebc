"""What Locust is asked to do, run by Locust itself (see load_peers.py).

It is measured from when all its users are up: making one takes Locust tens of milliseconds.
"""

import json
import os
import time
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import FastHttpUser, constant_throughput, events, task

RATE = os.environ.get("LOAD_RATE", "")
SECONDS = float(os.environ.get("LOAD_SECONDS", "3"))


class Asker(FastHttpUser):  # type: ignore[misc]
    """One connection that asks for the same page over and over."""

    if RATE:
        wait_time = constant_throughput(float(RATE))

    @task  # type: ignore[untyped-decorator]
    def ask(self) -> None:
        """One request."""
        self.client.get("/")


def _measure(environment: Any) -> None:
    environment.stats.reset_all()
    used, began = time.process_time(), time.perf_counter()
    gevent.sleep(SECONDS)
    total = environment.stats.total
    result = {
        "requests": total.num_requests,
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - used,
        "percentiles": [total.get_response_time_percentile(p) for p in (0.5, 0.95, 0.99, 0.999)],
    }
    print("RESULT " + json.dumps(result), flush=True)
    environment.runner.quit()


@events.init.add_listener  # type: ignore[untyped-decorator]
def _init(environment: Any, **_: Any) -> None:
    def up(**_: Any) -> None:
        gevent.spawn(_measure, environment)

    environment.events.spawning_complete.add_listener(up)
