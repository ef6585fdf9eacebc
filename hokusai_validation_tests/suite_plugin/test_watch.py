"""What is asked every second while tests run: it meets an outage of seconds, and nothing of our own."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.observation import ErrorClass, Kind, Observation, Outcome
from hokusai_validation.resources import own_faults
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.result import now
from hokusai_validation.runner import watch as watching
from hokusai_validation.runner.watch import Looked, Watch, lasting, out_since, steady
from hokusai_validation.target import Target
from hokusai_validation_tests.links.program import until


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


class _Server:
    """A service that can be away. It listens after the watch has begun only, whose process would hold the
    listening socket too."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Answers)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def service() -> Iterator[_Server]:
    made = _Server()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def no_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of tests before in this process would count."""
    monkeypatch.setattr(own_faults, "times", lambda: ())


def test_an_outage_of_seconds_is_met_and_has_its_end(service: _Server) -> None:
    target = Target.model_validate({"name": "one", "auth": {"url": f"http://127.0.0.1:{service.port}"}})
    watch = Watch.begin(target, Secrets(target), Places(target))

    def met(word: bytes, more_than: int) -> bool:
        watch.record.seek(0)
        return watch.record.read().count(word) > more_than

    service.start()
    assert until(lambda: met(b'"ok"', 0) or met(b'"status":200', 0), limit_s=30)
    service.stop()
    assert until(lambda: met(b'"refused"', 1), limit_s=30)
    service.start()
    asked = len(_lines(watch))
    assert until(lambda: len(_lines(watch)) > asked + 1, limit_s=30)
    seen = watch.end()
    wells = [each.ok for each in seen]
    assert wells[wells.index(True) :].count(False) > 0
    assert wells[-1]
    assert {each.error_class for each in seen} == {None, ErrorClass.REFUSED}
    assert watch.end() == seen


def _lines(watch: Watch) -> list[bytes]:
    watch.record.seek(0)
    return watch.record.read().splitlines()


def _looked(at_s: float, *, well: bool, look: int = 0) -> Looked:
    outcome, error = (Outcome.OK, None) if well else (Outcome.ERROR, ErrorClass.REFUSED)
    seen = Observation(
        id="1",
        operation="auth.health",
        kind=Kind.PROBE,
        dialled="auth",
        started_at=now(),
        ended_at=now(),
        outcome=outcome,
        error_class=error,
    )
    return Looked(look=look, began_s=at_s, ended_s=at_s + 0.1, observations=(seen,))


def test_what_went_out_is_awaited_and_what_was_never_there_is_not(
    service: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "RETURN_S", 60.0)
    target = Target.model_validate({"name": "one", "auth": {"url": f"http://127.0.0.1:{service.port}"}})
    watch = Watch.begin(target, Secrets(target), Places(target))

    def looked(word: bytes) -> bool:
        return any(word in line for line in _lines(watch)[-1:])

    assert until(lambda: looked(b'"refused"'), limit_s=30)
    watch.await_return()
    service.start()
    assert until(lambda: looked(b'"status":200'), limit_s=30)
    service.stop()
    assert until(lambda: looked(b'"refused"'), limit_s=30)
    service.start()
    watch.await_return()
    assert watch.end()[-1].ok


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=20))
def test_an_outage_lasts_from_the_first_bad_look_after_the_last_good_one(
    drawn: list[tuple[int, bool]],
) -> None:
    looked = [_looked(at, well=well, look=look) for at, (look, well) in enumerate(drawn)]
    begun: list[float] = []
    for look in {each.look for each in looked}:
        own = [each for each in looked if each.look == look]
        trailing = list(takewhile(lambda each: not each.well, reversed(own)))
        begun += [trailing[-1].began_s] if 0 < len(trailing) < len(own) else []
    assert out_since(looked) == max(begun, default=None)


def test_what_a_fault_of_ours_can_have_spoilt_does_not_count() -> None:
    looked = [
        _looked(0, well=True),
        _looked(1, well=False),  # the fault is on
        _looked(2, well=False),  # it is not well yet
        _looked(3, well=True),
        _looked(4, well=False),  # nobody's fault but its own
        _looked(2, well=False, look=1),
        _looked(70, well=False, look=1),  # it had its time
    ]
    kept = list(steady(looked, [(0.5, 1.5)], recovery_s=60))
    assert [(each.look, each.began_s, each.well) for each in kept] == [
        (0, 0, True),
        (0, 3, True),
        (0, 4, False),
        (1, 70, False),
    ]


@given(st.lists(st.tuples(st.floats(0, 50), st.booleans(), st.integers(0, 2))))
def test_without_a_fault_of_ours_all_counts(drawn: list[tuple[float, bool, int]]) -> None:
    looked = [_looked(at_s, well=well, look=look) for at_s, well, look in drawn]
    assert len(list(steady(looked, [], recovery_s=60))) == len(looked)


def test_what_went_wrong_once_is_no_outage() -> None:
    looked = [_looked(at_s, well=at_s not in (2, 5, 6)) for at_s in range(9)]
    looked.append(_looked(2.5, well=True, look=1))
    assert [each.began_s for each in lasting(looked) if not each.well] == [5, 6]
    assert len(list(lasting(looked))) == len(looked) - 1
