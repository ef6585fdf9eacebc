"""Redis as the checks speak it: a few commands, bounded in time, errors by kind."""

from typing import TYPE_CHECKING, Any, Self

from pydantic import SecretStr

from hokusai_validation.errors import (
    ConnectionRefused,
    ConnectionReset,
    ConnectTimedOut,
    LoginRefused,
    NameNotResolved,
    ProtocolViolated,
    ReadTimedOut,
    RequestFailed,
    TargetInvalid,
    TlsFailed,
)
from hokusai_validation.observation import ErrorClass
from hokusai_validation.redaction import shown
from hokusai_validation.resources import recording
from hokusai_validation.resources.classification import Classified, of_name, of_redis
from hokusai_validation.resources.http import tls_context
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target, Tls

if TYPE_CHECKING:
    import redis

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 2.0


class Redis:
    """One Redis by its own address. Connects with the first command."""

    def __init__(
        self,
        host: str,
        port: int = 6379,
        *,
        password: SecretStr | None = None,
        tls: Tls | None = None,
        resolver: Resolver | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self.address = f"{host}:{port}"
        self._host = host
        self._port = port
        self._password = password
        self._tls = tls
        self._resolver = resolver or Resolver()
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._client: redis.Redis | None = None

    @classmethod
    def from_target(cls, target: Target, secrets: Secrets) -> Self:
        """As `[redis]` of the target file says.

        Raises TargetInvalid without that section, SecretMissing."""
        section = target.redis
        if section is None:
            raise TargetInvalid(
                f"Target '{target.name}' has no [redis] section; add one to look at Redis itself."
            )
        return cls(
            section.host,
            section.port,
            password=None if section.password is None else secrets.value(section.password),
            tls=target.tls if section.tls else None,
            resolver=Resolver(target.dns.resolver),
        )

    def ping(self) -> bool:
        """Whether it answers.

        Raises the leaves of RequestFailed, as every method here does."""
        return self.run("PING") in (True, b"PONG", "PONG")

    def set(self, key: str, value: str, *, ttl_s: int) -> None:
        """Write a value that goes away by itself."""
        self.run("SET", key, value, "EX", ttl_s)

    def get(self, key: str) -> str | None:
        """A value, or None where there is none."""
        answer = self.run("GET", key)
        return None if answer is None else _text(answer)

    def ttl_s(self, key: str) -> int:
        """The seconds a key still lives; -1 for ever, -2 where it is not there."""
        return int(self.run("TTL", key))

    def delete(self, key: str) -> None:
        """Remove a key."""
        self.run("DEL", key)

    def info(self) -> dict[str, str]:
        """What the server says of itself, flat."""
        answer = self.run("INFO")
        if isinstance(answer, dict):
            return {str(name): str(value) for name, value in answer.items()}
        pairs = (line.split(":", 1) for line in _text(answer).splitlines() if ":" in line)
        return {name: value.strip() for name, value in pairs}

    def run(self, *command: object) -> Any:
        """Any command. Not retried: a test wants to see the first failure."""
        from redis import exceptions

        call = f"redis {self.address} {command[0]}"
        question = recording.ask(operation_of(str(command[0])), "cache", self._host, self._port)
        try:
            answer = self._connected().execute_command(*command)  # type: ignore[no-untyped-call]
        except NameNotResolved as error:
            question.failed(of_name(error.code))
            raise
        except (exceptions.RedisError, OSError) as error:
            found = of_redis(error)
            question.failed(found)
            raise self._failure(found, error, call) from None
        question.ok()
        return answer

    def close(self) -> None:
        """Close the kept connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> "redis.Redis":
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        if self._client is None:
            options: dict[str, Any] = {}
            if self._tls is not None:
                tls_context(self._tls)  # an unreadable CA file is told here, not as a failed connection
                options = {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
                if self._tls.ca_file is not None:
                    options["ssl_ca_certs"] = str(self._tls.ca_file)
            self._client = redis.Redis(
                # A certificate is checked against the name, so with TLS the name itself is dialled.
                host=self._host if self._tls is not None else self._resolver.addresses(self._host)[0],
                port=self._port,
                password=None if self._password is None else self._password.get_secret_value(),
                socket_connect_timeout=self._connect_timeout_s,
                socket_timeout=self._answer_timeout_s,
                retry=Retry(NoBackoff(), 0),
                max_connections=4,
                decode_responses=False,
                **options,
            )
        return self._client

    def _failure(self, found: Classified, error: Exception, call: str) -> RequestFailed:
        """The leaf of our tree that a classified error is."""
        kind = found.error_class
        if kind in (ErrorClass.LOGIN_REFUSED, ErrorClass.PERMISSION):
            return LoginRefused(f"{call}: the password was refused; check `redis.password`.")
        if kind is ErrorClass.CONNECT_TIMEOUT:
            return ConnectTimedOut(f"{call}: no connection within {self._connect_timeout_s:g} s.")
        if kind is ErrorClass.READ_TIMEOUT:
            return ReadTimedOut(f"{call}: no answer within {self._answer_timeout_s:g} s.")
        if kind is ErrorClass.REFUSED:
            return ConnectionRefused(f"{call}: connection refused.")
        if found.native.system == "openssl":
            return TlsFailed(f"{call}: TLS failed: {shown(str(error), 200)}.")
        if kind in (ErrorClass.RESET, ErrorClass.UNREACHABLE):
            return ConnectionReset(f"{call}: the connection broke: {shown(str(error), 200)}.")
        return ProtocolViolated(f"{call}: {shown(str(error), 200)}.")


_PINGS = frozenset({"PING", "ECHO", "INFO", "ROLE", "TIME", "HELLO", "CLIENT", "MEMORY"})
_READS = frozenset(
    ("GET", "MGET", "TTL", "PTTL", "EXISTS", "TYPE", "SCAN", "KEYS", "LLEN", "LRANGE", "HGET", "HGETALL")
)
# A full store takes these: they say nothing of its other writes.
_FREES = frozenset({"DEL", "UNLINK", "EXPIRE", "PEXPIRE", "FLUSHDB", "FLUSHALL"})


def operation_of(command: str) -> str:
    """A command's name in the table of operations."""
    word = command.upper()
    if word in _FREES:
        return "redis.delete"
    return "redis.ping" if word in _PINGS else "redis.read" if word in _READS else "redis.write"


def _text(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
