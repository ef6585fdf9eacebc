"""Each toxic on real sockets, and that a link is a cable again when it is off."""

import contextlib
import socket
import threading
import time

import pytest

from hokusai_validation_tests.links.program import (
    LinkProgram,
    Upstream,
    client,
    fate,
    http,
    read_all,
    until,
    upstream,
)


def round_trip_ms(connection: socket.socket, data: bytes = b"x") -> float:
    started = time.perf_counter()
    connection.sendall(data)
    got = b""
    while len(got) < len(data):
        got += connection.recv(65536)
    assert got == data
    return (time.perf_counter() - started) * 1000


def test_latency_holds_for_connections_old_and_new_and_ends(program: LinkProgram) -> None:
    with client(program.address()) as old:
        assert round_trip_ms(old) < 50
        name = program.add("latency", latency=80)
        assert round_trip_ms(old) >= 79
        with client(program.address()) as new:
            assert round_trip_ms(new) >= 79
        program.remove(name)
        assert round_trip_ms(old) < 50


def test_latencies_add_up_and_order_stays(program: LinkProgram) -> None:
    program.add("latency", latency=30, jitter=30)
    program.add("latency", stream="upstream", latency=60)
    with client(program.address()) as connection:
        for number in range(50):
            connection.sendall(b"%02d" % number)
        connection.shutdown(socket.SHUT_WR)
        started = time.perf_counter()
        assert read_all(connection) == b"".join(b"%02d" % number for number in range(50))
        # Chunks on their way together wait together.
        assert 0.055 < time.perf_counter() - started < 2


def test_two_latencies_on_one_stream_add_up(program: LinkProgram) -> None:
    for name in ("first", "second"):
        body = {"name": name, "type": "latency", "attributes": {"latency": 50}}
        assert program.call("POST", "/proxies/link/toxics", body).status == 200
    with client(program.address()) as connection:
        assert round_trip_ms(connection) >= 99


def test_bandwidth(program: LinkProgram) -> None:
    program.add("bandwidth", rate=200)
    with client(program.address(), timeout_s=5) as connection:
        assert round_trip_ms(connection, b"x" * 40_000) >= 170


def test_removing_a_narrow_band_lets_the_rest_through_at_once(program: LinkProgram) -> None:
    name = program.add("bandwidth", rate=1)
    with client(program.address(), timeout_s=5) as connection:
        connection.sendall(b"x" * 100_000)
        assert connection.recv(1) == b"x"
        program.remove(name)
        connection.shutdown(socket.SHUT_WR)
        assert len(read_all(connection)) == 99_999


def test_black_hole_swallows_and_then_breaks_what_lost_bytes(program: LinkProgram) -> None:
    with client(program.address(), timeout_s=0.2) as damaged, client(program.address()) as idle:
        assert round_trip_ms(idle) < 1000
        name = program.add("timeout", timeout=0)
        damaged.sendall(b"x")
        with pytest.raises(TimeoutError):
            damaged.recv(1)
        program.remove(name)
        with pytest.raises(ConnectionResetError):
            damaged.recv(1)
        assert round_trip_ms(idle) < 1000


def test_a_black_hole_takes_no_worker_of_the_upstream(program: LinkProgram) -> None:
    """A server that serves one connection at a time with each of its two workers."""
    workers = threading.BoundedSemaphore(2)

    def serve(connection: socket.socket) -> None:
        with workers:
            http(connection)

    def asked(address: tuple[str, int]) -> bytes:
        with client(address) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return connection.recv(65536)

    with upstream(serve) as server:
        direct = ("127.0.0.1", server.port)
        body = {"name": "black", "listen": "127.0.0.1:0", "upstream": server.address}
        assert program.call("POST", "/proxies", body).status == 201
        address = program.address("black")
        kept = client(address, timeout_s=0.1)  # as a pool keeps them
        kept.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert kept.recv(65536)
        names = [
            program.add("timeout", "black", stream=each, timeout=0) for each in ("upstream", "downstream")
        ]
        for connection in (kept, *(client(address, timeout_s=0.1) for _ in range(6))):
            connection.sendall(b"GET / HTTP/1.1\r\n")
            with pytest.raises(TimeoutError):
                connection.recv(1)
            assert asked(direct).startswith(b"HTTP/1.1 200")
            connection.close()
        waiting = client(address)  # came, and says nothing
        left = client(address)
        left.close()
        assert server.accepted == 8, "the kept connection, and those that came by another way"
        for name in names:
            program.remove(name, "black")
        waiting.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert waiting.recv(65536).startswith(b"HTTP/1.1 200")
        waiting.close()
        assert until(lambda: program.show("black")["counters"]["open"] == 0)
        assert asked(address).startswith(b"HTTP/1.1 200")


def test_a_black_hole_leaves_no_answer_of_the_upstream_waiting(program: LinkProgram) -> None:
    """What was asked before it is answered into it; the upstream is free then too."""
    asked, answer = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        asked.set()
        answer.wait(10)
        connection.sendall(b"x" * 4_000_000)

    with upstream(serve) as server:
        body = {"name": "black", "listen": "127.0.0.1:0", "upstream": server.address}
        assert program.call("POST", "/proxies", body).status == 201
        with client(program.address("black"), timeout_s=0.2) as connection:
            connection.sendall(b"x")
            assert asked.wait(10)
            for each in ("upstream", "downstream"):
                program.add("timeout", "black", stream=each, timeout=0)
            answer.set()
            assert until(lambda: server.ended == 1)
            with pytest.raises(TimeoutError):
                connection.recv(1)


def test_timeout_closes_after_its_time_also_when_nothing_is_sent(program: LinkProgram) -> None:
    with client(program.address()) as connection:
        program.add("timeout", timeout=100)
        started = time.perf_counter()
        assert connection.recv(1) == b""
        assert 0.05 < time.perf_counter() - started < 1


def test_reset_peer_breaks_old_and_new(program: LinkProgram) -> None:
    with client(program.address()) as old:
        round_trip_ms(old)
        name = program.add("reset_peer")
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    assert fate(program.address()) == "reset"
    assert program.show()["counters"]["reset"] == 2
    program.remove(name)
    with client(program.address()) as again:
        round_trip_ms(again)


def test_reset_existing_breaks_old_ones_once_and_serves_new_ones(program: LinkProgram) -> None:
    with client(program.address()) as old:
        round_trip_ms(old)
        program.add("reset_existing")
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    with client(program.address(), timeout_s=0.15) as new:
        round_trip_ms(new)
        with pytest.raises(TimeoutError):
            new.recv(1)


def test_reset_existing_again_and_again(program: LinkProgram) -> None:
    program.add("reset_existing", every=50)
    for _ in range(3):
        with contextlib.suppress(ConnectionResetError), client(program.address()) as connection:
            round_trip_ms(connection)
            assert connection.recv(1) is None, "it was not reset"
    assert program.show()["counters"]["reset"] >= 3


def test_half_open_keeps_the_client_and_breaks_the_server(program: LinkProgram, server: Upstream) -> None:
    with client(program.address(), timeout_s=0.2) as old:
        round_trip_ms(old)
        assert (server.accepted, server.ended) == (1, 0)
        name = program.add("half_open")
        assert until(lambda: server.ended == 1)
        for connection in (old, client(program.address(), timeout_s=0.2)):
            connection.sendall(b"x")
            with pytest.raises(TimeoutError):
                connection.recv(1)
        assert server.accepted == 1
        program.remove(name)
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    with client(program.address()) as again:
        round_trip_ms(again)


def test_connect_timeout_lets_new_ones_wait_and_old_ones_go_on(program: LinkProgram) -> None:
    address = program.address()
    with client(address) as old:
        round_trip_ms(old)
        name = program.add("connect_timeout")
        with pytest.raises(TimeoutError):
            client(address, timeout_s=0.3)
        assert round_trip_ms(old) < 1000
        program.remove(name)
        with client(address) as again:
            round_trip_ms(again)


def test_every_nth(program: LinkProgram) -> None:
    program.add("every_nth", n=3)
    ended = [fate(program.address()) for _ in range(6)]
    assert ended == ["served", "served", "reset"] * 2


def test_an_idle_connection_is_reset_when_its_next_bytes_come(program: LinkProgram) -> None:
    program.add("reset_idle", stream="upstream", idle=300)
    with client(program.address()) as connection:
        for _ in range(3):
            round_trip_ms(connection)
        connection.settimeout(0.35)
        with pytest.raises(TimeoutError):  # nothing is done to it while it is idle
            connection.recv(1)
        connection.settimeout(5)
        connection.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_garbage_is_no_protocol_and_the_connection_does_not_survive_it(program: LinkProgram) -> None:
    with client(program.address()) as connection:
        name = program.add("garbage")
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        answer = connection.recv(100)
        assert len(answer) == 17
        assert min(answer) >= 128
        program.remove(name)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_slicer(program: LinkProgram) -> None:
    program.add("slicer", average_size=10, size_variation=5, delay=2000)
    with client(program.address()) as connection:
        connection.sendall(b"x" * 100)
        first = connection.recv(1000)
        assert 5 <= len(first) <= 15
        connection.shutdown(socket.SHUT_WR)
        assert len(first + read_all(connection)) == 100


def test_limit_data_closes_at_its_byte(program: LinkProgram) -> None:
    program.add("limit_data", bytes=7)
    with client(program.address()) as connection:
        connection.sendall(b"0123456789")
        assert read_all(connection) == b"0123456"


def test_slow_close(program: LinkProgram) -> None:
    program.add("slow_close", delay=150)
    with client(program.address()) as connection:
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b"bye"
        started = time.perf_counter()
        assert connection.recv(10) == b""
        assert time.perf_counter() - started >= 0.1


def test_toxicity_is_a_share_of_connections(program: LinkProgram) -> None:
    body = {"type": "reset_peer", "toxicity": 0.5}
    assert program.call("POST", "/proxies/link/toxics", body).status == 200
    ended = [fate(program.address()) for _ in range(60)]
    # 60 throws of a coin: both sides come up more often than 9 times but for one run in 10⁹.
    assert min(ended.count("served"), ended.count("reset")) > 9


def test_cut_breaks_what_is_there_and_refuses_what_comes(program: LinkProgram) -> None:
    address = program.address()
    with client(address) as connection:
        round_trip_ms(connection)
        program.call("POST", "/proxies/link", {"enabled": False})
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        client(address)
    program.call("POST", "/proxies/link", {"enabled": True})
    with client(address) as connection:
        round_trip_ms(connection)
