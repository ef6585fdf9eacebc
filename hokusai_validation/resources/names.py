"""Names to addresses, asked of the target's own resolver where it names one."""

import ipaddress
import socket

import dns.exception
import dns.resolver

from hokusai_validation.bounds.deadline import looked_up
from hokusai_validation.errors import NameNotResolved
from hokusai_validation.resources import recording
from hokusai_validation.resources.classification import of_exception, of_name

LOOKUP_TIMEOUT_S = 3.0


class Resolver:
    """Answers from `server` (`host:port`), else from the system; within `timeout_s` from either."""

    def __init__(self, server: str | None = None, *, timeout_s: float = LOOKUP_TIMEOUT_S) -> None:
        self.server = server
        self._timeout_s = timeout_s
        self._resolver: dns.resolver.Resolver | None = None
        if server is not None:
            host, _, port = server.rpartition(":")
            self._resolver = dns.resolver.Resolver(configure=False)
            self._resolver.nameservers = [host]
            self._resolver.port = int(port)
            self._resolver.lifetime = timeout_s

    def addresses(self, name: str, record: str = "A") -> tuple[str, ...]:
        """The IPv4 addresses of a name (`AAAA`: its IPv6 ones); an address or `localhost` stands for
        itself.

        Raises NameNotResolved."""
        try:
            ipaddress.ip_address(name)
            return (name,)
        except ValueError:
            pass
        question = recording.ask_name(name, record)
        try:
            if self._resolver is None or name == "localhost":
                found = self._from_system(name, record)
            else:
                found = self._from_server(self._resolver, name, record)
        except NameNotResolved as error:
            question.failed(of_name(error.code))
            raise
        question.ok(addresses=len(found))
        return found

    def _from_server(self, resolver: dns.resolver.Resolver, name: str, record: str) -> tuple[str, ...]:
        try:
            answer = resolver.resolve(name, record)
        except dns.resolver.NXDOMAIN:
            raise NameNotResolved(f"Name {name} does not exist (asked {self.server}).", "NXDOMAIN") from None
        except dns.exception.DNSException as error:
            word = type(error).__name__
            raise NameNotResolved(f"Name {name} has no address: {word} from {self.server}.", word) from None
        return tuple(sorted(str(each) for each in answer))

    def _from_system(self, name: str, record: str) -> tuple[str, ...]:
        try:
            family = socket.AF_INET6 if record == "AAAA" else socket.AF_INET
            return tuple(sorted(looked_up(name, family, limit_s=self._timeout_s)))
        except OSError as error:
            word = of_exception(error).native.code
            raise NameNotResolved(f"Name {name} has no address: {error}.", word) from None
