"""The certificate that a server shows, checked as a client would."""

import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict

from hokusai_validation.errors import (
    ConnectionRefused,
    ConnectionReset,
    ConnectTimedOut,
    NameNotResolved,
    ReadTimedOut,
    RequestFailed,
    TlsFailed,
)
from hokusai_validation.observation import ErrorClass
from hokusai_validation.resources import recording
from hokusai_validation.resources.classification import of_exception, of_name
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
    question = recording.ask_tls(host, port)
    where = f"TLS to {host}:{port}"
    connected = False
    try:
        address = (resolver or Resolver()).addresses(host)[0]
        with socket.create_connection((address, port), timeout=TIMEOUT_S) as plain:
            connected = True
            with tls_context(tls).wrap_socket(plain, server_hostname=host) as connection:
                seen = connection.getpeercert() or {}
                protocol = connection.version() or ""
    except NameNotResolved as error:
        question.failed(of_name(error.code))
        raise
    except OSError as error:
        found = of_exception(error)
        if isinstance(error, TimeoutError) and not connected:
            found = replace(found, error_class=ErrorClass.CONNECT_TIMEOUT)
        question.failed(found)
        raise _failure(error, where, connected=connected) from None
    expires_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(seen["notAfter"])), UTC)
    question.ok(days_left=round((expires_at - datetime.now(UTC)).total_seconds() / 86_400, 3))
    return SeenCertificate(
        host=host,
        port=port,
        names=tuple(str(value) for _, value in _pairs(seen.get("subjectAltName"))),
        issuer=_name(seen.get("issuer")),
        expires_at=expires_at,
        protocol=protocol,
    )


def _failure(error: OSError, where: str, *, connected: bool) -> RequestFailed:
    """The leaf of our tree that it is."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed(f"{where}: the certificate is not valid: {error.verify_message}.")
    if isinstance(error, ssl.SSLError):
        return TlsFailed(f"{where}: the handshake failed: {error.reason or error}.")
    if isinstance(error, TimeoutError):
        if connected:
            return ReadTimedOut(f"{where}: connected, but no handshake within {TIMEOUT_S:g} s.")
        return ConnectTimedOut(f"{where}: no connection within {TIMEOUT_S:g} s.")
    if isinstance(error, ConnectionRefusedError):
        return ConnectionRefused(f"{where}: connection refused.")
    if connected:
        return ConnectionReset(f"{where}: the connection ended in the handshake: {error}.")
    return ConnectTimedOut(f"{where}: no connection: {error}.")


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    return tuple(item for item in value if len(item) == 2) if isinstance(value, tuple) else ()


def _name(value: object) -> str:
    """`organizationName` or `commonName` out of the nested pairs that ssl gives."""
    if not isinstance(value, tuple):
        return ""
    parts = {key: text for group in value for key, text in group}
    return str(parts.get("commonName") or parts.get("organizationName") or "")
