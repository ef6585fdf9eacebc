"""The supervisor's own HTTP client."""

import asyncio
import ssl

import trustme

from hokusai_sandbox.webclient import fetch

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def test_a_server_that_closes_at_once_is_no_error() -> None:
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("here.test").configure_cert(serving)
    asking = ssl.create_default_context()
    authority.configure_trust(asking)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        writer.close()

    async def ask() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            for _ in range(50):
                assert await fetch(address, "/", tls=asking, server_name="here.test") == (200, b"{}")

    asyncio.run(ask())
