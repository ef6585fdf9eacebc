"""`python -m hokusai_sandbox.balancer`, settings in the environment."""

import asyncio
import os
import ssl
import tempfile

import uvloop

from hokusai_sandbox.balancer.health import check_forever
from hokusai_sandbox.balancer.http import HEAD_LIMIT_BYTES
from hokusai_sandbox.balancer.proxy import Proxy, Redirect
from hokusai_sandbox.balancer.routing import Table
from hokusai_sandbox.balancer.settings import BalancerSettings
from hokusai_sandbox.plan import LOOPBACK
from hokusai_sandbox.refresh import keep_fresh
from hokusai_sandbox.routing_table import TableEntry


async def serve(settings: BalancerSettings) -> None:
    """Serve until the process ends. The ports open once the routing is known."""
    table = Table()
    known = asyncio.Event()

    def take(values: TableEntry) -> None:
        table.take(values)
        known.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_fresh(settings.aws_address, "/_sandbox/routing", settings.token, take))
        tasks.create_task(check_forever(table, settings.aws_address, settings.token))
        await known.wait()
        context = server_context(settings)
        await asyncio.start_server(
            Redirect(table, settings.https_port).connected,
            LOOPBACK,
            settings.http_port,
            limit=HEAD_LIMIT_BYTES,
        )
        await asyncio.start_server(
            Proxy(table).connected, LOOPBACK, settings.https_port, ssl=context, limit=HEAD_LIMIT_BYTES
        )


def server_context(settings: BalancerSettings) -> ssl.SSLContext:
    """OpenSSL reads keys from files only: one that is readable to nobody else, gone at once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    handle, path = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "w") as file:
            file.write(settings.certificate_key + settings.certificate)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
    return context


def main() -> None:
    """Serve until the process is ended."""
    uvloop.run(serve(BalancerSettings.from_environment()))


if __name__ == "__main__":
    main()
