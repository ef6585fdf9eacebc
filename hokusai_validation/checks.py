"""Checks that a target file declares (`[[checks]]`): one question to one part of a stack, and what must
come back. They are rows, asset checks, evidence and observations like every other test.

Nothing here changes a target: HTTP is GET or HEAD, SQL runs in a read-only transaction, Redis gets
commands that read. Whom a check may ask is the target's business (`permissions.hosts`).
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from hokusai_validation.fields import Count, Host, Milliseconds, Port, Url, UrlWithQuery
from hokusai_validation.sections import Database, Redis, SecretRef, Section

ROWS_LIMIT = 100  # that a statement's answer is read to
READING = frozenset(
    (
        "PING",
        "GET",
        "EXISTS",
        "TTL",
        "TYPE",
        "STRLEN",
        "LLEN",
        "SCARD",
        "ZCARD",
        "HLEN",
        "HGET",
        "XLEN",
        "DBSIZE",
    )
)


class Bounds(Section):
    """What a value must be like: a number from `min` to `max`, a text that `contains` another."""

    min: float | None = None
    max: float | None = None
    contains: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.min is None and self.max is None and self.contains is None:
            raise ValueError("give `min`, `max` or `contains`")
        if self.contains is not None and (self.min is not None or self.max is not None):
            raise ValueError("`contains` is of a text, `min` and `max` are of a number")
        return self

    def __str__(self) -> str:
        if self.contains is not None:
            return f"a text with {self.contains!r} in it"
        low = [] if self.min is None else [f"at least {self.min:g}"]
        high = [] if self.max is None else [f"at most {self.max:g}"]
        return " and ".join(low + high)


Wanted = bool | int | float | str | Bounds


class Expectation(Section):
    """What every kind of check may expect: an answer within `latency_ms`."""

    latency_ms: Milliseconds | None = None


def _several(value: object) -> object:
    return [value] if isinstance(value, int) else value


class HttpExpectation(Expectation):
    """`status` is one or several (none: any 2xx); `fields` are those of a JSON body by dotted path, list
    items by number (`items.0.id`)."""

    status: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], BeforeValidator(_several)] = ()
    fields: Mapping[str, Wanted] = Field(default_factory=dict)
    headers: Mapping[str, Wanted] = Field(default_factory=dict)


class DnsExpectation(Expectation):
    """`addresses` are among those that the name has."""

    addresses: tuple[Host, ...] = ()


class TlsExpectation(Expectation):
    """`days` are left at least before the certificate expires."""

    days: Count | None = None


class SqlExpectation(Expectation):
    """`rows` of the answer (it is read to 100), `value` of the first row's first column."""

    rows: int | Bounds | None = None
    value: Wanted | None = None


class RedisExpectation(Expectation):
    """`value` that the command answers."""

    value: Wanted | None = None


class Declared(Section):
    """What every check has. `says` is what must hold, in words for a reader."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,59}$")]
    component: str
    says: str = ""
    critical: bool = False
    phase: Literal["environment", "discovery", "health", "functional"] = "functional"
    timeout_s: Annotated[float, Field(ge=0.01, le=60)] = 5.0

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that it asks, of its own address; none where it uses one of the target's."""
        return ()

    @property
    def asks(self) -> str:
        """What it asks, in a few words."""
        return ""


class HttpCheck(Declared):
    """A GET or HEAD of a URL. `key` is sent as a bearer token; redirects are answers."""

    kind: Literal["http"]
    url: UrlWithQuery
    method: Literal["GET", "HEAD"] = "GET"
    key: SecretRef | None = None
    headers: Mapping[str, str | SecretRef] = Field(default_factory=dict)
    expect: HttpExpectation = HttpExpectation()

    @model_validator(mode="after")
    def _has_a_body(self) -> Self:
        if self.method == "HEAD" and self.expect.fields:
            raise ValueError("HEAD has no body: `expect.fields` needs method GET")
        return self

    @property
    def hosts(self) -> tuple[str, ...]:
        return (urlsplit(self.url).hostname or "",)

    @property
    def asks(self) -> str:
        return f"{self.method} {self.url}"


class TcpCheck(Declared):
    """A connection is accepted."""

    kind: Literal["tcp"]
    host: Annotated[Host, Field(min_length=1)]
    port: Port
    expect: Expectation = Expectation()

    @property
    def hosts(self) -> tuple[str, ...]:
        return (self.host,)

    @property
    def asks(self) -> str:
        return f"connection to {self.host}:{self.port}"


class DnsCheck(Declared):
    """A name has addresses (`record`: A or AAAA), asked of the target's resolver."""

    kind: Literal["dns"]
    host: Annotated[Host, Field(min_length=1)]
    record: Literal["A", "AAAA"] = "A"
    expect: DnsExpectation = DnsExpectation()

    @property
    def hosts(self) -> tuple[str, ...]:
        return (self.host,)

    @property
    def asks(self) -> str:
        return f"{self.record} of {self.host}"


class TlsCheck(Declared):
    """A certificate's chain, name and dates are good."""

    kind: Literal["tls"]
    url: Url
    expect: TlsExpectation = TlsExpectation()

    @model_validator(mode="after")
    def _is_https(self) -> Self:
        if not self.url.startswith("https://"):
            raise ValueError("`url` must be https://host or https://host:port")
        return self

    @property
    def hosts(self) -> tuple[str, ...]:
        return (urlsplit(self.url).hostname or "",)

    @property
    def asks(self) -> str:
        return f"certificate of {self.url.removeprefix('https://')}"


class SqlCheck(Declared):
    """One statement in a read-only transaction, of `database` (none: the target's own)."""

    kind: Literal["sql"]
    statement: Annotated[str, Field(min_length=1, max_length=2000)]
    database: Database | None = None
    expect: SqlExpectation = SqlExpectation()

    @model_validator(mode="after")
    def _is_one_query(self) -> Self:
        first = self.statement.lstrip("( \t\n").partition(" ")[0].upper()
        if first not in ("SELECT", "WITH", "VALUES", "TABLE"):
            raise ValueError("`statement` must be a query: SELECT, WITH, VALUES or TABLE")
        # Without one there is no second statement, whatever is quoted or commented.
        if ";" in self.statement or "\x00" in self.statement:
            raise ValueError("`statement` must be one statement, without a semicolon")
        return self

    @property
    def hosts(self) -> tuple[str, ...]:
        return () if self.database is None else (self.database.host,)

    @property
    def asks(self) -> str:
        return " ".join(self.statement.split())


class RedisCheck(Declared):
    """One command that reads, of `redis` (none: the target's own)."""

    kind: Literal["redis"]
    command: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)] = ("PING",)
    redis: Redis | None = None
    expect: RedisExpectation = RedisExpectation()

    @model_validator(mode="after")
    def _reads(self) -> Self:
        if self.command[0].upper() not in READING:
            raise ValueError(f"`command` must be one that reads: {', '.join(sorted(READING))}")
        return self

    @property
    def hosts(self) -> tuple[str, ...]:
        return () if self.redis is None else (self.redis.host,)

    @property
    def asks(self) -> str:
        return " ".join(self.command)


Check = Annotated[
    HttpCheck | TcpCheck | DnsCheck | TlsCheck | SqlCheck | RedisCheck, Field(discriminator="kind")
]
