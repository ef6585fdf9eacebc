"""A look at a part by its own address, past the API: whether it is out there, too."""

from urllib.parse import urlsplit

from hokusai_validation.chaos.client_probe import ProbeOutcome, probe, question_for
from hokusai_validation.errors import RequestFailed
from hokusai_validation.resources.names import Resolver
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

LOOK_S = 1.0


def address_of(part: str, target: Target) -> tuple[str, int] | None:
    """Where the part that plays a role is; None where the target does not say."""
    if part == Role.DATABASE and target.database is not None and target.database.host:
        return target.database.host, target.database.port
    if part in (Role.CACHE, Role.QUEUE) and target.redis is not None:
        return target.redis.host, target.redis.port
    urls: dict[str, str | None] = {
        Role.TRACKING_SERVER: target.mlflow.url if target.mlflow else None,
        Role.AUTH: target.auth.url if target.auth else None,
    }
    url = urls.get(part)
    if url is None:
        return None
    split = urlsplit(url)
    return split.hostname or "", split.port or (443 if split.scheme == "https" else 80)


def out(part: str, target: Target) -> str | None:
    """How a part answers nothing by its own address (`connection refused after 0.1 ms`). None where it
    answers, and where it can't be looked at from here."""
    address = address_of(part, target)
    if address is None:
        return None
    host, port = address
    encrypted = (part == Role.CACHE and target.redis is not None and target.redis.tls) or port == 443
    try:
        there = (Resolver(target.dns.resolver).addresses(host)[0], port)
    except RequestFailed as error:
        return str(error)
    seen = probe(
        there, b"" if encrypted else question_for(part if isinstance(part, Role) else None), limit_s=LOOK_S
    )
    return None if seen.outcome is ProbeOutcome.ANSWERED else str(seen)
