"""A certificate authority made at start, and the balancer's certificate of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hokusai_sandbox.plan import HOSTS, LOOPBACK

if TYPE_CHECKING:
    import trustme

DAYS = 90


@dataclass(frozen=True)
class Certificates:
    """PEM texts: the CA's certificate, the balancer's chain and its private key; and what issues others."""

    authority: str
    certificate: str
    key: str = field(repr=False)
    issuer: "trustme.CA" = field(repr=False)

    def another(
        self, *, chain: str | None = None, days: float | None = None, names: Sequence[str] = ()
    ) -> tuple[str, str]:
        """Chain and private key of another certificate of the same authority. `chain`: it is issued by
        an intermediate authority, which is served along (`full`) or not (`leaf`)."""
        issuer = self.issuer if chain is None else self.issuer.create_child_ca()
        return _issued(issuer, days=days, names=names, leaf_only=chain == "leaf")


def make(*, days: int | None = None) -> Certificates:
    """For the public names and for loopback; valid for so many days (90 unless given)."""
    import trustme

    authority = trustme.CA()
    certificate, key = _issued(authority, days=days)
    return Certificates(
        authority=authority.cert_pem.bytes().decode(), certificate=certificate, key=key, issuer=authority
    )


def _issued(
    issuer: "trustme.CA", *, days: float | None, names: Sequence[str] = (), leaf_only: bool = False
) -> tuple[str, str]:
    expires = datetime.now(UTC) + timedelta(days=DAYS if days is None else days)
    # An expired one must have begun before it ended.
    begins = min(datetime.now(UTC), expires) - timedelta(days=1)
    served = tuple(names) or (*HOSTS.values(), "localhost", LOOPBACK)
    leaf = issuer.issue_cert(*served, not_before=begins, not_after=expires)
    chain = leaf.cert_chain_pems[:1] if leaf_only else leaf.cert_chain_pems
    return "".join(item.bytes().decode() for item in chain), leaf.private_key_pem.bytes().decode()
