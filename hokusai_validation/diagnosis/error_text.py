"""Reading error texts: a service that reports its dependency's failure in words says more than
that something is unhealthy. Patterns are those of the drivers themselves (libpq, redis, sockets)."""

import re

from hokusai_validation.facts import Fact, FactKind

# Only facts that say "something is wrong" in general are sharpened by their text.
_GENERAL = frozenset(
    {
        FactKind.SERVICE_UNHEALTHY,
        FactKind.PROXY_ERROR,
        FactKind.UNEXPECTED_STATUS,
        FactKind.SCHEMA_MISMATCH,
        FactKind.NOT_RECOVERED,
        FactKind.ARTIFACT_STORE_FAILED,
        FactKind.POOL_EXHAUSTED,  # of the client's pool, or of the server's connections?
    }
)

# The first that is found decides, so the particular stand before the general.
_TEXTS: tuple[tuple[FactKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (FactKind.WRONG_DATABASE_USER, r"role \"[^\"]*\" (does not exist|is not permitted to log in)"),
        (FactKind.WRONG_DATABASE_USER, r"authentication failed for user \"postgres\""),
        (FactKind.PASSWORD_REFUSED, r"(password )?authentication failed for user|invalid password|WRONGPASS"),
        (
            FactKind.CONNECTIONS_NEAR_LIMIT,
            r"too many (clients|connections)|remaining connection slots|connection limit exceeded",
        ),
        (
            FactKind.POOL_EXHAUSTED,
            r"queuepool limit|pool \(.{0,40}exhausted|pool (is )?(exhausted|timeout|timed out)|no (free )?connection in (the )?pool",
        ),
        (FactKind.PERMISSION_MISSING, r"permission denied for (table|schema|database|relation|sequence)"),
        (FactKind.SCHEMA_DIFFERS, r"(relation|column) \"[^\"]*\" does not exist|undefined ?table"),
        (
            FactKind.NAME_NOT_RESOLVED,
            r"name or service not known|nodename nor servname|name resolution|no address"
            r"|could not (be )?resolved?|getaddrinfo|NXDOMAIN",
        ),
        (FactKind.TLS_FAILED, r"certificate verify failed|CERTIFICATE_VERIFY|tls handshake|SSLError"),
        (FactKind.RESET, r"errno 104\b"),  # asyncio says "connect call failed" of each errno
        (
            FactKind.REFUSED,
            r"connection refused|connect call failed|connect(ion)? was refused|refused the connection|ECONNREFUSED",
        ),
        (
            FactKind.CONNECT_TIMED_OUT,
            r"connect(ion|ing)? (attempt )?(timed out|time-?out)|ETIMEDOUT|no route to host|EHOSTUNREACH",
        ),
        (
            FactKind.RESET,
            r"connection reset|reset by peer|server (disconnected|closed the connection)|ECONNRESET|broken pipe"
            r"|can ?not write request",
        ),
        (FactKind.READ_TIMED_OUT, r"gave no answer within|read (timed out|time-?out)"),
    )
)


def reread(fact: Fact, text: str) -> FactKind:
    """The fact's kind, or the more particular one that a text (its own, or an answer's) names."""
    if fact.kind not in _GENERAL:
        return fact.kind
    for kind, pattern in _TEXTS:
        if pattern.search(text):
            return kind
    return fact.kind
