"""How the sandbox's own HTTP servers run: sockets bound first, signals heard once, logs ours."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Generator, Sequence

import uvicorn
from starlette.types import ASGIApp

from hokusai_validation.errors import PortTaken

BACKLOG = 2048
SHUTDOWN_S = 2
KEEP_ALIVE_S = 75  # longer than the balancer keeps idle connections, so that none is closed under it


class Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it, unless told to hear them."""

    hears_signals = False

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """SIGTERM and SIGINT end the server in an orderly way. Unlike what it does by itself, the
        signal is not raised again afterwards: whoever runs us still has to put things away."""
        signals = (signal.SIGTERM, signal.SIGINT) if self.hears_signals else ()
        loop = asyncio.get_running_loop()
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"Address {host}:{port} can't be listened on: {error.strerror}. Choose another port."
        ) from None
    listener.setblocking(False)
    return listener


async def serve(apps: Sequence[tuple[ASGIApp, socket.socket]]) -> None:
    """Run until SIGTERM or SIGINT; the first application's end is everybody's."""
    # What was imported stays: walking it in every full collection would stop the loop for 30 ms.
    gc.collect()
    gc.freeze()
    servers = [
        (make_server(app, lifespan=number == 0, signals=number == 0), listener)
        for number, (app, listener) in enumerate(apps)
    ]
    tasks = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    try:
        await tasks[0]
    finally:
        for server, _ in servers[1:]:
            server.should_exit = True
        await asyncio.gather(*tasks[1:], return_exceptions=True)


def make_server(app: ASGIApp, *, lifespan: bool, signals: bool) -> Server:
    """A server for one application. `signals`: whether SIGTERM and SIGINT end it (main thread only)."""
    server = Server(
        uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="on" if lifespan else "off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )
    server.hears_signals = signals
    return server
