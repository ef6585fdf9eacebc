"""AWS by moto, as a server in this process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def serving_aws() -> Iterator[str]:
    """The URL of an AWS stand-in, in the block. All servers of a process share what is in it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
