"""A certificate authority made at start, and the balancer's certificate of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hokusai_sandbox.plan import HOSTS, LOOPBACK

DAYS = 90


@dataclass(frozen=True)
class Certificates:
    """PEM texts: the CA's certificate, the balancer's chain and its private key."""

    authority: str
    certificate: str
    key: str = field(repr=False)


def make(*, days: int | None = None) -> Certificates:
    """For the public names and for loopback; valid for so many days (90 unless given)."""
    import trustme

    authority = trustme.CA()
    expires = datetime.now(UTC) + timedelta(days=DAYS if days is None else days)
    leaf = authority.issue_cert(*HOSTS.values(), "localhost", LOOPBACK, not_after=expires)
    return Certificates(
        authority=authority.cert_pem.bytes().decode(),
        certificate="".join(item.bytes().decode() for item in leaf.cert_chain_pems),
        key=leaf.private_key_pem.bytes().decode(),
    )
