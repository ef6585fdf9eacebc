"""A link without a fault is a cable: every byte, both ends, both ways of breaking."""

import socket
import struct
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hokusai_validation_tests.links.program import LinkProgram, Upstream, client, fate, read_all, until


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.binary(min_size=1, max_size=70_000), max_size=8))
def test_what_goes_in_comes_out_then_the_end(program: LinkProgram, chunks: list[bytes]) -> None:
    with client(program.address()) as connection:
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(read_all(connection)))
        reader.start()
        for chunk in chunks:
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)
        reader.join(5)
    assert b"".join(got) == b"".join(chunks)


def test_half_close_keeps_the_other_direction(running: LinkProgram) -> None:
    said = threading.Event()

    def answers_after_the_end(connection: socket.socket) -> None:
        heard = read_all(connection)
        said.wait(5)
        connection.sendall(b"heard " + heard)

    server = Upstream(answers_after_the_end)
    running.call("POST", "/proxies", {"name": "half", "upstream": server.address})
    try:
        with client(running.address("half")) as connection:
            connection.sendall(b"all of it")
            connection.shutdown(socket.SHUT_WR)
            said.set()
            assert read_all(connection) == b"heard all of it"
        assert until(lambda: running.show("half")["counters"]["open"] == 0)
    finally:
        running.call("DELETE", "/proxies/half")
        server.stop()


def test_a_client_that_breaks_breaks_the_server_too(running: LinkProgram) -> None:
    errors: list[type[BaseException] | None] = []

    def waits(connection: socket.socket) -> None:
        try:
            connection.recv(10)
            connection.recv(10)
            errors.append(None)
        except ConnectionResetError as error:
            errors.append(type(error))

    server = Upstream(waits)
    running.call("POST", "/proxies", {"name": "broken", "upstream": server.address})
    try:
        connection = client(running.address("broken"))
        connection.sendall(b"hello")
        assert until(lambda: server.accepted == 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        assert until(lambda: errors == [ConnectionResetError])
    finally:
        running.call("DELETE", "/proxies/broken")
        server.stop()


def test_a_slow_reader_stops_the_writer(program: LinkProgram, server: Upstream) -> None:
    """Nothing is buffered without limit: a client that sends and never reads is held."""
    with client(program.address(), timeout_s=1.0) as connection:
        sent = 0
        try:
            while sent < 256_000_000:
                sent += connection.send(b"x" * 65536)
        except TimeoutError:
            pass
    assert sent < 64_000_000  # what the kernel's buffers of four sockets take, not more


def test_a_dead_upstream_is_refused_and_comes_back(program: LinkProgram, server: Upstream) -> None:
    with client(program.address()) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        server.stop()
        assert until(lambda: bool(program.show()["upstream_down"]))
        with pytest.raises(ConnectionRefusedError):
            client(program.address())
    server.start_again()
    assert until(lambda: not program.show()["upstream_down"])
    with client(program.address()) as connection:
        connection.sendall(b"y")
        assert connection.recv(1) == b"y"


def test_without_mirror_a_dead_upstream_is_accepted_and_broken(running: LinkProgram) -> None:
    server = Upstream()
    server.stop()
    body = {"name": "plain", "upstream": server.address, "mirror": False}
    assert running.call("POST", "/proxies", body).status == 201
    try:
        assert [fate(running.address("plain")) for _ in range(3)] == ["reset"] * 3
        assert running.show("plain")["counters"]["refused"] == 3
    finally:
        running.call("DELETE", "/proxies/plain")


def test_counters_count(program: LinkProgram) -> None:
    with client(program.address()) as first, client(program.address()) as second:
        for connection in (first, second):
            connection.sendall(b"12345")
            assert connection.recv(10) == b"12345"
        counters = program.show()["counters"]
        assert (counters["accepted"], counters["open"]) == (2, 2)
        assert (counters["bytes_up"], counters["bytes_down"]) == (10, 10)
    assert until(lambda: program.show()["counters"]["open"] == 0)


def test_many_connections_come_and_go(program: LinkProgram) -> None:
    for _ in range(20):
        connections = [client(program.address()) for _ in range(20)]
        for connection in connections:
            connection.sendall(b"ping")
        for connection in connections:
            assert connection.recv(10) == b"ping"
            connection.close()
    assert until(lambda: program.show()["counters"]["open"] == 0)
    assert program.show()["counters"]["accepted"] == 400


def test_the_port_stays_ours_while_the_link_is_cut(program: LinkProgram) -> None:
    address = program.address()
    program.call("POST", "/proxies/link", {"enabled": False})
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(address)
    program.call("POST", "/proxies/link", {"enabled": True})
    assert program.address() == address
    client(address).close()
