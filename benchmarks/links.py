"""What a link costs: latency added at p50 and p99, requests a second, accuracy of a latency toxic.

    python -m benchmarks.links

The echo server, the client and the link program are processes of their own; on a machine with few
cores they share them, which the link pays for too. Rounds with and without the link alternate."""

import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

ROUND_TRIPS = 4000
ROUNDS = 5
CONNECTIONS = 8
PAYLOAD = b"x" * 128


def echo(ready: "multiprocessing.connection.Connection") -> None:
    """An echo on uvloop."""
    import asyncio

    import uvloop

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)  # type: ignore[attr-defined]

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


def connect(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address, timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def round_trips(address: tuple[str, int], count: int) -> list[float]:
    """Times in ms of exchanges on one connection, one after the other."""
    times = []
    with connect(address) as connection:
        for _ in range(count):
            started = time.perf_counter()
            connection.sendall(PAYLOAD)
            got = 0
            while got < len(PAYLOAD):
                got += len(connection.recv(4096))
            times.append((time.perf_counter() - started) * 1000)
    return times


def throughput(address: tuple[str, int], seconds: float = 3.0) -> float:
    """Exchanges a second over some connections at once, a thread each."""
    counts = [0] * CONNECTIONS
    ends = time.perf_counter() + seconds

    def run(number: int) -> None:
        with connect(address) as connection:
            while time.perf_counter() < ends:
                connection.sendall(PAYLOAD)
                connection.recv(4096)
                counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def main() -> None:
    """Measure and print."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=echo, args=(sending,), daemon=True)
    server.start()
    upstream = ("127.0.0.1", receiving.recv())
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "links.json"
        config.write_text(json.dumps([{"name": "link", "upstream": f"{upstream[0]}:{upstream[1]}"}]))
        words = [
            sys.executable,
            "-m",
            "hokusai_validation.links",
            "--config",
            str(config),
            "--api",
            "127.0.0.1:0",
        ]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            api = program.stdout.readline().split()[-1]
            host, _, port = httpx.get(f"{api}/proxies/link").json()["listen"].rpartition(":")
            measure(upstream, (host, int(port)), api)
            program.terminate()
    server.terminate()


def measure(upstream: tuple[str, int], link: tuple[str, int], api: str) -> None:
    """Direct and through the link, in turns; the median of the rounds."""
    added50, added99 = [], []
    for _ in range(ROUNDS):
        direct, through = round_trips(upstream, ROUND_TRIPS), round_trips(link, ROUND_TRIPS)
        added50.append(percentile(through, 0.5) - percentile(direct, 0.5))
        added99.append(percentile(through, 0.99) - percentile(direct, 0.99))
    print(f"added at p50: {statistics.median(added50):.3f} ms (rounds {[round(x, 3) for x in added50]})")
    print(f"added at p99: {statistics.median(added99):.3f} ms")
    print(
        f"exchanges a second, {CONNECTIONS} connections: direct {throughput(upstream):.0f}, link {throughput(link):.0f}"
    )
    for latency in (20, 100):
        body = {"name": "slow", "type": "latency", "attributes": {"latency": latency}}
        httpx.post(f"{api}/proxies/link/toxics", json=body)
        times = round_trips(link, 50)
        httpx.delete(f"{api}/proxies/link/toxics/slow")
        print(f"latency {latency} ms: measured p50 {percentile(times, 0.5):.2f} ms, max {max(times):.2f} ms")
    body = {"name": "narrow", "type": "bandwidth", "attributes": {"rate": 500}}
    httpx.post(f"{api}/proxies/link/toxics", json=body)
    size = 500_000
    with connect(link) as connection:
        threading.Thread(target=connection.sendall, args=(b"x" * size,), daemon=True).start()
        started, got = time.perf_counter(), 0
        while got < size:
            got += len(connection.recv(65536))
        rate = size / (time.perf_counter() - started) / 1000
    print(f"bandwidth 500 KB/s: measured {rate:.1f} KB/s")


if __name__ == "__main__":
    main()
