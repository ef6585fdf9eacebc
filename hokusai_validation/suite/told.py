"""What an error text that a service tells us means, in the vocabulary of facts. Pure."""

from hokusai_validation.facts import FactKind

# The first that stands in the text counts: the more telling ones come first.
_SIGNS: tuple[tuple[FactKind, tuple[str, ...]], ...] = (
    (
        FactKind.NAME_NOT_RESOLVED,
        (
            "not resolve",
            "name or service not known",
            "nodename nor servname",
            "name resolution",
            "getaddrinfo",
            "nxdomain",
            "no address associated",
            "failed to resolve",
        ),
    ),
    (
        FactKind.PASSWORD_REFUSED,
        ("password authentication failed", "wrongpass", "noauth", "invalid username-password"),
    ),
    (FactKind.REFUSED, ("refused", "errno 111")),
    (
        FactKind.CONNECT_TIMED_OUT,
        (
            "connect timeout",
            "connecttimeout",
            "connection timed out",
            "timed out while connecting",
            "no connection within",
        ),
    ),
    (FactKind.READ_TIMED_OUT, ("timed out", "timeout", "time-out", "no answer within")),
    (FactKind.RESET, ("reset", "broken pipe", "disconnected", "closed the connection", "eof")),
    (FactKind.TLS_FAILED, ("ssl", "certificate")),
)


def kind_of(text: str) -> FactKind:
    """The kind of failure that a text speaks of; SERVICE_UNHEALTHY when it doesn't say."""
    low = text.lower()
    return next(
        (kind for kind, signs in _SIGNS if any(sign in low for sign in signs)), FactKind.SERVICE_UNHEALTHY
    )
