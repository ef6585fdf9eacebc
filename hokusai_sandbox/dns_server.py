"""The name server: answers for the names that are registered in the sandbox's AWS, over UDP and TCP.

Everything else does not exist, and nothing is asked of other servers.
"""

import asyncio
import os
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from dnslib import AAAA, QTYPE, RCODE, RR, A, DNSError, DNSRecord

from hokusai_sandbox.plan import LOOPBACK
from hokusai_sandbox.refresh import keep_fresh

TTL_S = 1
IDLE_S = 5.0


class Zone:
    """Names with their addresses."""

    def __init__(self) -> None:
        self.names: Mapping[str, Sequence[str]] = {}

    def take(self, names: Mapping[str, Sequence[str]]) -> None:
        """The names as the AWS process has them now."""
        self.names = {str(name).lower().rstrip("."): list(found) for name, found in names.items()}

    def answer(self, question: bytes) -> bytes | None:
        """The packet that answers, None for what is no question."""
        try:
            asked = DNSRecord.parse(question)
        except (DNSError, ValueError, IndexError, struct.error):
            return None
        if asked.header.qr or not asked.questions:
            return None
        reply = asked.reply()
        name = str(asked.q.qname).lower().rstrip(".")
        if not self.names:
            reply.header.rcode = RCODE.SERVFAIL
        elif name not in self.names:
            reply.header.rcode = RCODE.NXDOMAIN
        else:
            for address in self.names[name]:
                kind, record = (QTYPE.AAAA, AAAA) if ":" in address else (QTYPE.A, A)
                if asked.q.qtype in (kind, QTYPE.ANY):
                    reply.add_answer(RR(asked.q.qname, kind, ttl=TTL_S, rdata=record(address)))
        packed: bytes = reply.pack()
        return packed


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        answer = self._zone.answer(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


async def serve(port: int, aws_address: str, token: str) -> None:
    """Serve until cancelled."""
    zone = Zone()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(IDLE_S):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    answer = zone.answer(await reader.readexactly(length))
                if answer is None:
                    break
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: _Datagrams(zone), local_addr=(LOOPBACK, port))
    await asyncio.start_server(connected, LOOPBACK, port)
    await keep_fresh(aws_address, "/_sandbox/names", token, zone.take)


def main() -> None:
    """Settings in the environment."""
    port = int(os.environ["SANDBOX_DNS_PORT"])
    asyncio.run(serve(port, os.environ["SANDBOX_AWS_ADDRESS"], os.environ["SANDBOX_TOKEN"]))


if __name__ == "__main__":
    main()
