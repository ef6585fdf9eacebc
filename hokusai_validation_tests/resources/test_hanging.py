"""What hung once is waited for less, what answers nothing at all is asked no more; an answer ends both."""

import socket
import threading
from collections.abc import Iterator

import pytest

from hokusai_validation.errors import ReadTimedOut, UnhealthyBefore
from hokusai_validation.observation import ErrorClass, Observation, Outcome
from hokusai_validation.resources import hanging, own_faults, recording
from hokusai_validation.resources.hanging import Asked
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.places import Places
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.target import Target
from hokusai_validation_tests.resources.test_recording import START

PATHS = ("/live", "/health", "/ready", "/version")


class Silent:
    """A server that takes every connection, and answers while `answers` is set."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._held: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(connection)
            if self.answers.is_set():
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")

    def close(self) -> None:
        self._listener.close()
        for each in self._held:
            each.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.close()


@pytest.fixture
def client(silent: Silent, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpClient]:
    monkeypatch.setattr(own_faults, "_ended_at", None)  # else faults of tests before would count
    target = Target.model_validate({"name": "t", "instances": [{"name": "api-1", "url": silent.url}]})
    hanging.begin_with(())
    with recording.recording(Recorder(Places(target))), HttpClient(silent.url, timeout_s=4.0) as made:
        yield made
    hanging.begin_with(())


def hangs(client: HttpClient, path: str, limit_s: float) -> None:
    with pytest.raises(ReadTimedOut, match=rf"within {limit_s:g} s"):
        client.get(path, timeout_s=4.0 if limit_s == hanging.LEAST_S else limit_s)


def test_what_hung_is_asked_again_with_a_shorter_limit_and_says_so(client: HttpClient) -> None:
    hangs(client, "/live", 0.1)
    hangs(client, "/health", 0.1)
    with pytest.raises(
        ReadTimedOut, match=r"within 2 s \(it hung before in this run, else it would have 4 s\)"
    ):
        client.get("/live")


def test_an_address_that_answers_nothing_is_asked_no_more(client: HttpClient, silent: Silent) -> None:
    for path in PATHS[: hanging.DIFFERENT]:
        hangs(client, path, 0.1)
    with pytest.raises(UnhealthyBefore, match="api was not healthy before: 3 different questions") as raised:
        client.get("/version")
    assert raised.value.component == "api"


def test_after_a_while_it_is_asked_again_and_an_answer_ends_it(
    client: HttpClient, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in PATHS[: hanging.DIFFERENT]:
        hangs(client, path, 0.1)
    monkeypatch.setattr(hanging, "AGAIN_S", 0.0)
    silent.answers.set()
    assert client.get("/version").status == 200
    monkeypatch.undo()
    assert client.get("/live").status == 200


def test_what_hangs_while_a_fault_of_ours_is_on_counts_for_nothing(client: HttpClient) -> None:
    with own_faults.on("stall:api-1"):
        for path in (*PATHS, *PATHS):
            hangs(client, path, 0.1)
    hangs(client, "/live", 0.1)


def test_what_earlier_phases_saw_is_known_from_their_observations() -> None:
    def seen(operation: str, error: ErrorClass | None, **values: object) -> Observation:
        return Observation.model_validate(
            {
                "id": "o",
                "operation": operation,
                "dialled": "api",
                "host": "10.0.0.1",
                "port": 80,
                "started_at": START,
                "ended_at": START,
                "outcome": Outcome.OK if error is None else Outcome.TIMEOUT,
                "error_class": error,
                **values,
            }
        )

    slow = ErrorClass.READ_TIMEOUT
    found = hanging.seen_in(
        [
            seen("live", slow),
            seen("health", slow),
            seen("health", None),
            seen("ready", slow, faults_on=("stall:api-1",)),
            seen("version", ErrorClass.REFUSED),
            seen("reported.health", slow, asker="api"),
        ]
    )
    assert found == {Asked("10.0.0.1", 80, "live")}
