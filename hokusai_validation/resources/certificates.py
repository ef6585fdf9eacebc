"""The certificate that a server shows, checked as a client would."""

import socket
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict

from hokusai_validation.errors import (
    ConnectionRefused,
    ConnectionReset,
    ConnectTimedOut,
    ReadTimedOut,
    TlsFailed,
)
from hokusai_validation.resources.http import tls_context
from hokusai_validation.resources.names import Resolver
from hokusai_validation.target import Tls

TIMEOUT_S = 5.0


class SeenCertificate(BaseModel):
    """A certificate whose chain and name were right, and the connection it came with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    port: int
    names: tuple[str, ...]
    issuer: str
    expires_at: AwareDatetime
    protocol: str

    def days_left(self, now: datetime) -> float:
        """Until it expires."""
        return (self.expires_at - now).total_seconds() / 86_400


def look_at(url: str, *, tls: Tls | None = None, resolver: Resolver | None = None) -> SeenCertificate:
    """Connect to a URL's host and check chain, name and dates.

    Raises TlsFailed, with what is wrong, and the other leaves of RequestFailed."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    address = (resolver or Resolver()).addresses(host)[0]
    where = f"TLS to {host}:{port}"
    try:
        plain = socket.create_connection((address, port), timeout=TIMEOUT_S)
    except TimeoutError:
        raise ConnectTimedOut(f"{where}: no connection within {TIMEOUT_S:g} s.") from None
    except ConnectionRefusedError:
        raise ConnectionRefused(f"{where}: connection refused.") from None
    except OSError as error:
        raise ConnectTimedOut(f"{where}: no connection: {error}.") from None
    try:
        with plain, tls_context(tls).wrap_socket(plain, server_hostname=host) as connection:
            seen = connection.getpeercert() or {}
            protocol = connection.version() or ""
    except ssl.SSLCertVerificationError as error:
        raise TlsFailed(f"{where}: the certificate is not valid: {error.verify_message}.") from None
    except ssl.SSLError as error:
        raise TlsFailed(f"{where}: the handshake failed: {error.reason or error}.") from None
    except TimeoutError:
        raise ReadTimedOut(f"{where}: connected, but no handshake within {TIMEOUT_S:g} s.") from None
    except OSError as error:
        raise ConnectionReset(f"{where}: the connection ended in the handshake: {error}.") from None
    return SeenCertificate(
        host=host,
        port=port,
        names=tuple(str(value) for _, value in _pairs(seen.get("subjectAltName"))),
        issuer=_name(seen.get("issuer")),
        expires_at=datetime.fromtimestamp(ssl.cert_time_to_seconds(str(seen["notAfter"])), UTC),
        protocol=protocol,
    )


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    return tuple(item for item in value if len(item) == 2) if isinstance(value, tuple) else ()


def _name(value: object) -> str:
    """`organizationName` or `commonName` out of the nested pairs that ssl gives."""
    if not isinstance(value, tuple):
        return ""
    parts = {key: text for group in value for key, text in group}
    return str(parts.get("commonName") or parts.get("organizationName") or "")
