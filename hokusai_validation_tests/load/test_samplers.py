"""What is looked at beside a run: real answers of a real server, and samplers that fail."""

import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hokusai_validation.errors import ConnectionRefused
from hokusai_validation.load.samplers import MetricsSampler, ProcessSampler, Watch
from hokusai_validation.resources.control import ProcessState
from hokusai_validation.resources.http import HttpClient

PAGE = """# TYPE mlflow_circuit_breaker_state gauge
mlflow_circuit_breaker_state {state}
# TYPE hokusai_db_pool_in_use gauge
hokusai_db_pool_in_use 3.0
# TYPE hokusai_http_requests counter
hokusai_http_requests_total{{route="/a"}} 2.0
hokusai_http_requests_total{{route="/b"}} 5.0
"""


@pytest.mark.parametrize(
    ("states", "triggers"),
    [((0, 0, 2, 2, 1, 2, 0), [0, 0, 1, 1, 1, 2, 2]), ((2, 2, 0, 2), [0, 0, 0, 1])],
)
def test_breaker_triggers_are_counted_from_what_is_seen(states: tuple[int, ...], triggers: list[int]) -> None:
    sampler = MetricsSampler("api-1", HttpClient("http://127.0.0.1:9"))
    found = [sampler.read({"mlflow_circuit_breaker_state": float(state)}) for state in states]
    assert [each["api-1_breaker_triggers"] for each in found] == triggers


def test_a_counter_of_the_services_own_wins_and_may_start_anew() -> None:
    sampler = MetricsSampler("api-1", HttpClient("http://127.0.0.1:9"))

    def look(opened: float) -> float:
        values = {"mlflow_circuit_breaker_state": 0.0, "mlflow_circuit_breaker_opened_total": opened}
        return sampler.read(values)["api-1_breaker_triggers"]

    assert [look(opened) for opened in (7, 7, 9, 0, 1)] == [0, 0, 2, 0, 1]
    sampler.close()
    assert look(5) == 0


def test_metrics_of_a_real_answer() -> None:
    class Handler(BaseHTTPRequestHandler):
        page = PAGE.format(state=2.0)

        def do_GET(self) -> None:
            body = self.page.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        with HttpClient(f"http://127.0.0.1:{server.server_port}") as client:
            sampler = MetricsSampler("api-1", client)
            assert sampler.sample() == {"api-1_breaker_triggers": 0.0, "api-1_pool_connections": 3.0}
            Handler.page = '{"requests_total": 5}'
            assert sampler.sample() == {}
    finally:
        server.shutdown()
        server.server_close()


class _Control:
    def __init__(self) -> None:
        self.cpu_s, self.pid = 1.0, 7

    def processes(self) -> tuple[ProcessState, ...]:
        self.cpu_s += 0.5
        return (ProcessState("api-1", "api", self.pid, "running", None, None, 0, 50_000_000, self.cpu_s),)


def test_cpu_is_a_share_of_the_time_between_two_looks_at_one_process() -> None:
    control = _Control()
    sampler = ProcessSampler(control)  # type: ignore[arg-type]
    assert sampler.sample() == {"api-1_rss_mb": 50.0}
    time.sleep(0.05)
    assert 0 < sampler.sample()["api-1_cpu_percent"] <= 1000
    control.pid = 8  # started anew: its counter too
    assert sampler.sample() == {"api-1_rss_mb": 50.0}


class _Counting:
    def __init__(self, *, fails: bool = False) -> None:
        self.looks, self.closed, self._fails = 0, 0, fails

    def sample(self) -> Mapping[str, float]:
        self.looks += 1
        if self._fails:
            raise ConnectionRefused("Nobody there.")
        return {"looks": float(self.looks)}

    def close(self) -> None:
        self.closed += 1


def test_a_watch_looks_until_its_end_and_a_failing_sampler_leaves_a_note() -> None:
    good, bad = _Counting(), _Counting(fails=True)
    start = time.perf_counter()
    with Watch([good, bad], interval_s=0.01) as watch:
        while good.looks < 5 or bad.looks < 5:
            time.sleep(0.005)
    looks = good.looks
    time.sleep(0.05)
    assert (good.looks, good.closed, bad.closed) == (looks, 1, 1)
    assert watch.notes == ["_Counting: Nobody there."]
    assert [value for _, value in watch.looks("looks")] == [float(n) for n in range(1, looks + 1)]
    seconds = watch.seconds(start)
    assert seconds[-1]["looks"] == looks
    assert [entry["t_s"] for entry in seconds] == [float(n) for n in range(len(seconds))]


def test_a_watch_forgets_an_earlier_use() -> None:
    good = _Counting()
    watch = Watch([good], interval_s=0.01)
    for _ in range(2):
        before = good.looks
        with watch:
            while good.looks < before + 2:
                time.sleep(0.005)
    assert len(watch.looks("looks")) == good.looks - before
