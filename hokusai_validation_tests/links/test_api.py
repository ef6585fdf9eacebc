"""Toxiproxy's HTTP API by its documentation, bad input included."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hokusai_validation_tests.links.program import LinkProgram, Upstream, client


def test_version(running: LinkProgram) -> None:
    assert running.call("GET", "/version").json()["version"].startswith("2.")


def test_create_show_update_delete(running: LinkProgram, server: Upstream) -> None:
    body = {"name": "a.b", "listen": "127.0.0.1:0", "upstream": server.address}
    made = running.call("POST", "/proxies", body)
    assert made.status == 201
    assert made.json()["enabled"] is True
    assert not made.json()["listen"].endswith(":0")
    assert running.call("POST", "/proxies", body).status == 409
    shown = running.call("GET", "/proxies").json()["a.b"]
    assert shown["upstream"] == server.address
    assert shown["toxics"] == []
    assert running.call("PATCH", "/proxies/a.b", {"enabled": False}).json()["enabled"] is False
    assert running.call("DELETE", "/proxies/a.b").status == 204
    gone = running.call("GET", "/proxies/a.b")
    assert gone.status == 404
    assert gone.json() == {"error": "proxy not found", "status": 404}


def test_toxics_by_name(program: LinkProgram) -> None:
    body = {"type": "latency", "stream": "upstream", "attributes": {"latency": 5}}
    made = program.call("POST", "/proxies/link/toxics", body).json()
    assert made == {
        "name": "latency_upstream",
        "type": "latency",
        "stream": "upstream",
        "toxicity": 1.0,
        "attributes": {"latency": 5, "jitter": 0},
    }
    assert program.call("POST", "/proxies/link/toxics", body).status == 409
    path = "/proxies/link/toxics/latency_upstream"
    changed = program.call("POST", path, {"attributes": {"latency": 7}}).json()
    assert changed["attributes"] == {"latency": 7, "jitter": 0}
    assert program.call("GET", path).json() == changed
    assert program.call("GET", "/proxies/link/toxics").json() == [changed]
    assert program.call("DELETE", path).status == 204
    assert program.call("DELETE", path).status == 404


def test_reset_enables_and_cleans(program: LinkProgram) -> None:
    program.add("latency", latency=5)
    program.call("POST", "/proxies/link", {"enabled": False})
    assert program.call("POST", "/reset").status == 204
    assert program.show()["enabled"] is True
    assert program.show()["toxics"] == []
    client(program.address()).close()


def test_populate_keeps_what_is_the_same_and_replaces_what_differs(
    program: LinkProgram, server: Upstream
) -> None:
    before = program.show()["listen"]
    same = {"name": "link", "listen": before, "upstream": server.address}
    other = {"name": "other", "listen": "127.0.0.1:0", "upstream": server.address}
    answer = program.call("POST", "/populate", [same, other])
    assert answer.status == 201
    assert [each["name"] for each in answer.json()["proxies"]] == ["link", "other"]
    assert program.show()["listen"] == before
    moved = {**same, "upstream": "127.0.0.1:9"}
    program.call("POST", "/populate", [moved])
    assert program.show()["upstream"] == "127.0.0.1:9"


def test_move_drops_connections(program: LinkProgram) -> None:
    second = Upstream(lambda connection: connection.sendall(b"second"))
    try:
        with client(program.address()) as connection:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
            program.call("POST", "/proxies/link", {"upstream": second.address})
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        with client(program.address()) as connection:
            assert connection.recv(10) == b"second"
    finally:
        second.stop()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/proxies", {"name": "x"}, 400, "upstream"),
        ("POST", "/proxies", {"upstream": "127.0.0.1:1"}, 400, "name"),
        ("POST", "/proxies", {"name": "x", "upstream": "nowhere"}, 400, "host:port"),
        ("POST", "/proxies", {"name": "x", "upstream": "a:1", "colour": 1}, 400, "colour"),
        ("POST", "/proxies", [], 400, "JSON object"),
        ("POST", "/populate", {}, 400, "list"),
        ("POST", "/proxies/none/toxics", {"type": "latency"}, 404, "proxy not found"),
        ("POST", "/proxies/link/toxics", {"type": "lateness"}, 400, "invalid toxic type"),
        ("POST", "/proxies/link/toxics", {"type": "latency", "stream": "up"}, 400, "stream"),
        ("POST", "/proxies/link/toxics", {"type": "latency", "toxicity": 2}, 400, "toxicity"),
        ("POST", "/proxies/link/toxics", {"type": "latency", "attributes": {"late": 1}}, 400, "late"),
        ("POST", "/proxies/link/toxics", {"type": "latency", "attributes": {"latency": -1}}, 400, "latency"),
        ("POST", "/proxies/link/toxics", {"type": "latency", "attributes": {"latency": "1"}}, 400, "number"),
        ("POST", "/proxies/link/toxics", {"type": "latency", "lease": "none"}, 404, "lease not found"),
        ("POST", "/proxies/link", {"enabled": False, "lease": "none"}, 404, "lease not found"),
        ("POST", "/proxies/link", {"enabled": "no"}, 400, "true or false"),
        ("POST", "/leases", {"id": "a", "seconds": 0}, 400, "seconds"),
        ("POST", "/leases", {"id": "a", "seconds": 1e9}, 400, "seconds"),
        ("POST", "/leases", {"id": "", "seconds": 1}, 400, "id"),
        ("DELETE", "/leases/none", None, 404, "lease not found"),
        ("GET", "/nothing", None, 404, "not part of the API"),
        ("PUT", "/proxies", {}, 404, "not part of the API"),
    ],
)
def test_bad_requests_say_what_is_wrong_and_change_nothing(
    program: LinkProgram, method: str, path: str, body: object, status: int, says: str
) -> None:
    before = program.call("GET", "/proxies").json()
    answer = program.call(method, path, body)
    assert answer.status == status
    assert says in answer.json()["error"]
    assert program.call("GET", "/proxies").json() == before


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /proxies HTTP/1.1\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
        b"POST /reset HTTP/1.1\r\nContent-Length: 1\r\n\r\n{",
        b"POST /proxies HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n" + b" " * 2_000_000,
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"\x00\xff nonsense\r\n\r\n",
        b"POST /proxies HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000,
    ],
    ids=["browser", "broken JSON", "too long", "long address", "nonsense", "deep"],
)
def test_hostile_requests_are_refused_and_the_program_goes_on(program: LinkProgram, sent: bytes) -> None:
    host, _, port = program.url.removeprefix("http://").partition(":")
    with client((host, int(port))) as connection:
        try:
            connection.sendall(sent)
            answer = connection.recv(1000)
        except ConnectionError:
            answer = b"HTTP/1.1 4"  # it broke off before all was sent
    assert answer.startswith(b"HTTP/1.1 4")
    assert program.call("GET", "/version").status == 200


def test_requests_may_follow_without_waiting(program: LinkProgram) -> None:
    host, _, port = program.url.removeprefix("http://").partition(":")
    request = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
    with client((host, int(port))) as connection:
        connection.sendall(request * 5)
        got = b""
        while got.count(b"HTTP/1.1 200") < 5:
            part = connection.recv(65536)
            assert part
            got += part


def test_a_taken_port_is_one_clear_sentence(running: LinkProgram, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = running.call("POST", "/proxies", {"name": "x", "listen": address, "upstream": "127.0.0.1:1"})
        assert answer.status == 500
        assert address in answer.json()["error"]
        assert "x" not in running.call("GET", "/proxies").json()
        config = tmp_path / "links.json"
        config.write_text(json.dumps([{"name": "x", "listen": address, "upstream": "127.0.0.1:1"}]))
        words = [
            sys.executable,
            "-m",
            "hokusai_validation.links",
            "--config",
            str(config),
            "--api",
            "127.0.0.1:0",
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert address in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told(tmp_path: Path, number: int) -> None:
    with LinkProgram(tmp_path, []) as program:
        os.kill(program.process.pid, number)
        assert program.process.wait(timeout=5) == 0
