"""AWS by moto, as a server in this process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def serving_aws() -> Iterator[str]:
    """The URL of an AWS stand-in, in the block. All blocks of a process share what is in it."""
    yield _url()


@cache
def _url() -> str:
    """One server, in a thread that ends with the process: each would start and stop for a second, and what
    is in moto is the process's own however many there are."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"
