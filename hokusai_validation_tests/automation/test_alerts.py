"""One sensor for all targets: who is told what, by which channel, and what happens when one is down."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest

from hokusai_validation.automation.alerts import build_alert_sensors
from hokusai_validation.automation.failed_runs import build_failed_runs_sensor
from hokusai_validation.errors import NotDelivered
from hokusai_validation.report import Finding, Priority, Verdict
from hokusai_validation.reporting.news import News
from hokusai_validation.resources.injected import ResultsResource, TargetResource
from hokusai_validation.store.results import ResultStore
from hokusai_validation_tests.reporting.sample import report


@dataclass
class Room:
    """What stands behind every channel; `down` paths answer 500."""

    url: str = ""
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    down: set[str] = field(default_factory=set)


@contextmanager
def listening() -> Iterator[Room]:
    room = Room()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            down = self.path in room.down
            if not down:
                room.heard.append((self.path, body))
            answer = json.dumps(
                {"ok": not down, "ts": f"{len(room.heard)}.0", "error": "fatal_error"}
            ).encode()
            self.send_response(500 if down else 200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        room.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield room
        server.shutdown()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    with listening() as held:
        for path in ("all", "data", "b"):
            monkeypatch.setenv(f"HOOK_{path.upper()}", f"{held.url}/{path}")
        monkeypatch.setenv("SLACK_TOKEN", "an-example-token")
        yield held


class Stand:
    """The sensors of some targets over a store of their own, each with its cursor."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.store = ResultStore(folder / "results")
        held = {}
        for name, text in files.items():
            (folder / f"{name}.toml").write_text(f'name = "{name}"\n{text}')
            held[name] = TargetResource(str(folder / f"{name}.toml"))
        self.results = ResultsResource(base=str(folder / "results"))
        self.held = held
        self.sensors = {each.name: each for each in build_alert_sensors(held, self.results)}
        self.cursors: dict[str, str | None] = dict.fromkeys(self.sensors)

    def publish(
        self, target: str, run_id: str, *findings: Finding, verdict: Verdict = Verdict.UNHEALTHY
    ) -> None:
        """A run's report, as far as sensors look at it."""
        made = report().model_copy(
            update={"run_id": run_id, "target": target, "findings": findings, "verdict": verdict}
        )
        self.store.keep_news(target, News.of(made).model_dump_json().encode())

    def tick(self, kind: str) -> str:
        """One of a sensor; what it says.

        Raises NotDelivered where the tick fails."""
        name = f"notify_{kind}"
        with dg.build_sensor_context(cursor=self.cursors[name]) as context:
            done = self.sensors[name](context)
        assert isinstance(done, dg.SensorResult)
        self.cursors[name] = done.cursor
        assert isinstance(done.skip_reason, dg.SkipReason)
        return str(done.skip_reason.skip_message)


def finding(key: str, team: str = "data", priority: Priority = Priority.P1) -> Finding:
    changed = {"key": key, "team": team, "priority": priority, "title": f"cause {key}"}
    return report().findings[0].model_copy(update=changed)


WEBHOOK = '[automation]\nwebhook = { env = "HOOK_ALL" }\nreports_url = "https://reports.example"\n'
TEAM = '[automation.teams.data]\nwebhook = { env = "HOOK_DATA" }\n'
OTHER = '[automation]\nwebhook = { env = "HOOK_B" }\n'
SLACK = '[automation.slack]\ntoken = { env = "SLACK_TOKEN" }\nchannel = "C1"\nurl = "URL/slack"\n'


def test_one_sensor_tells_of_all_targets_once_with_the_pictures_link(tmp_path: Path, room: Room) -> None:
    stand = Stand(tmp_path, {"a": WEBHOOK, "b": OTHER, "quiet": ""})
    for name in ("a", "b", "quiet"):
        stand.publish(name, "run-1", finding("x"))
    stand.tick("webhook")
    assert sorted(path for path, _ in room.heard) == ["/all", "/b"]
    text = dict(room.heard)["/all"]["text"]
    assert "https://reports.example/a/run-1/report.html#stack" in text
    assert stand.tick("webhook") == "There is no new report."
    stand.publish("a", "run-2", finding("x"))
    stand.tick("webhook")
    assert len(room.heard) == 2  # the same cause: nobody is told again


def test_a_team_is_told_of_its_own_causes(tmp_path: Path, room: Room) -> None:
    stand = Stand(tmp_path, {"a": WEBHOOK + TEAM})
    stand.publish("a", "run-1", finding("theirs"), finding("others", team="api"))
    stand.tick("webhook")
    told = {path: body["text"] for path, body in room.heard}
    assert "cause theirs" in told["/data"]
    assert "cause others" not in told["/data"]
    assert "cause others" in told["/all"]
    stand.publish("a", "run-2", finding("others", team="api"))
    stand.tick("webhook")
    assert ["over: cause theirs" in body["text"] for _, body in room.heard[2:]] == [True, True]


def test_a_channel_that_is_down_is_tried_again_and_holds_nobody_up(tmp_path: Path, room: Room) -> None:
    stand = Stand(tmp_path, {"a": WEBHOOK + TEAM, "b": OTHER})
    room.down = {"/all"}
    for name in ("a", "b"):
        stand.publish(name, "run-1", finding("x"))
    assert "a: The webhook answered 500" in stand.tick("webhook")
    assert sorted(path for path, _ in room.heard) == ["/b", "/data"]
    with pytest.raises(NotDelivered):  # nothing else to tell: the tick fails, for everybody to see
        stand.tick("webhook")
    room.down = set()
    stand.tick("webhook")
    assert sorted(path for path, _ in room.heard) == ["/all", "/b", "/data"]


def test_a_first_message_that_does_not_arrive_fails_the_tick(tmp_path: Path, room: Room) -> None:
    stand = Stand(tmp_path, {"a": WEBHOOK})
    room.down = {"/all"}
    stand.publish("a", "run-1", finding("x"))
    with pytest.raises(NotDelivered, match="a: The webhook answered 500"):
        stand.tick("webhook")


def test_slack_has_a_thread_for_each_cause(tmp_path: Path, room: Room) -> None:
    stand = Stand(tmp_path, {"a": SLACK.replace("URL", room.url)})
    stand.publish("a", "run-1", finding("x"), finding("y"))
    stand.tick("slack")
    first = [body for _, body in room.heard]
    assert [(each["channel"], each.get("thread_ts")) for each in first] == [("C1", None), ("C1", None)]
    stand.publish("a", "run-2", finding("x", priority=Priority.P0))
    stand.tick("slack")
    later = [body for _, body in room.heard[2:]]
    assert [each["thread_ts"] for each in later] == ["1.0", "2.0"]
    assert "changed: cause x" in later[0]["text"]
    assert "over: cause y" in later[1]["text"]
    stand.publish("a", "run-3", finding("y"))
    stand.tick("slack")
    assert [body.get("thread_ts") for _, body in room.heard[4:]] == [
        None,
        "1.0",
    ]  # a new one of y; the end of x


def test_a_run_that_failed_without_a_report_is_told(tmp_path: Path, room: Room) -> None:
    stand = Stand(tmp_path, {"a": WEBHOOK})
    sensor = build_failed_runs_sensor(stand.held, stand.results)

    @dg.op
    def dies() -> None:
        raise RuntimeError("the worker died")

    @dg.job(tags={"target": "a"})
    def whole() -> None:
        dies()

    with dg.DagsterInstance.ephemeral() as instance:
        run = whole.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor.name, run.get_run_failure_event(), instance, run.dagster_run
        ).for_run_failure()
        sensor(context)
        [(path, body)] = room.heard
        assert path == "/all"
        assert "ended without a report" in body["text"]
        place = stand.store.reports / "a" / run.run_id
        place.mkdir(parents=True)
        (place / "report.json").write_bytes(b"{}")
        sensor(context)
        assert len(room.heard) == 1
