"""The program: links by a configuration file, the API beside them, until it is told to end."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence

import uvloop

from hokusai_validation.errors import PortTaken
from hokusai_validation.links.api import Api
from hokusai_validation.links.config import ProxyConfig, join_address, split_address
from hokusai_validation.links.http import HttpProtocol


async def serve(
    configs: Sequence[ProxyConfig], api_address: str, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called with the API's address (`host:port`) once
    every link listens.

    Raises PortTaken."""
    api = Api()
    host, port = split_address(api_address)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, NotImplementedError):  # not in the main thread
            loop.add_signal_handler(number, stopped.set)
    try:
        for config in configs:
            await api.create(config)
        try:
            server = await loop.create_server(lambda: HttpProtocol(api.handle), host, port)
        except OSError as error:
            raise PortTaken(
                f"The links' API can't listen on {api_address}: {error.strerror or error}; choose another address."
            ) from None
        name = server.sockets[0].getsockname()
        ready(join_address(name[0], name[1]))
        await stopped.wait()
        server.close()
    finally:
        await api.close()


def run(
    configs: Sequence[ProxyConfig], api_address: str, ready: Callable[[str], None] = lambda _: None
) -> None:
    """`serve` on a loop of its own."""
    uvloop.run(serve(configs, api_address, ready))
