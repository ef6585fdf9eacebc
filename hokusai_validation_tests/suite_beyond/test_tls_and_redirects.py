"""Certificates and redirects: each thing that can be wrong with them is red, and told apart."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from hokusai_validation.facts import FactKind as Kind
from hokusai_validation.resources.names import Resolver
from hokusai_validation.result import Status
from hokusai_validation.suite.test_environment import TestTls as Tls
from hokusai_validation.target import Target
from hokusai_validation_tests.judging import Judgement, judge
from hokusai_validation_tests.suite_beyond.stub import Reply, Stub, serving


@contextmanager
def secure(
    folder: Path, *, name: str = "127.0.0.1", days: float = 90, known: bool = True
) -> Iterator[tuple[Stub, Path]]:
    """An HTTPS stub, and the CA file of its target."""
    authority = trustme.CA()
    now = datetime.now(UTC)
    leaf = authority.issue_cert(
        name, not_before=now - timedelta(days=100), not_after=now + timedelta(days=days)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    file = folder / "ca.pem"
    (authority if known else trustme.CA()).cert_pem.write_to_path(str(file))
    with serving(context) as stub:
        yield stub, file


def run(check: str, stub: Stub, ca_file: Path, **endpoints: str) -> Judgement:
    target = Target.model_validate(
        {"name": "stub", "endpoints": {"registry": stub.url} | endpoints, "tls": {"ca_file": ca_file}}
    )
    return judge(getattr(Tls(), check), "load_balancer", target=target, resolver=Resolver())


def test_a_good_certificate_passes(tmp_path: Path) -> None:
    with secure(tmp_path) as (stub, ca_file):
        for check in ("test_certificates_valid", "test_certificates_not_expiring"):
            assert run(check, stub, ca_file).status is Status.PASSED


@pytest.mark.parametrize(
    ("name", "days", "known", "says"),
    [
        ("127.0.0.1", -1, True, "expired"),
        ("other.test", 90, True, "mismatch"),
        ("127.0.0.1", 90, False, "unable to get local issuer|certificate signature failure|self.signed"),
    ],
)
def test_a_bad_certificate_is_red(tmp_path: Path, name: str, days: float, known: bool, says: str) -> None:
    import re

    with secure(tmp_path, name=name, days=days, known=known) as (stub, ca_file):
        seen = run("test_certificates_valid", stub, ca_file)
    assert seen.status is Status.FAILED
    assert seen.seen == {(Kind.TLS_FAILED, "load_balancer")}
    assert re.search(says, seen.message), seen.message


def test_a_certificate_that_expires_soon_is_red(tmp_path: Path) -> None:
    with secure(tmp_path, days=5) as (stub, ca_file):
        assert run("test_certificates_valid", stub, ca_file).status is Status.PASSED
        seen = run("test_certificates_not_expiring", stub, ca_file)
    assert seen.status is Status.FAILED
    assert seen.seen == {(Kind.CERTIFICATE_EXPIRING, "load_balancer")}
    assert "threshold 21 days" in seen.message
    assert 4 < seen.evidence.metrics["registry_certificate_days"] < 5.1


def test_a_server_that_speaks_no_tls_is_red(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    with serving() as plain:
        seen = run("test_certificates_valid", Stub(plain.url.replace("http:", "https:")), tmp_path / "ca.pem")
    assert seen.seen == {(Kind.TLS_FAILED, "load_balancer")}


def test_without_https_there_is_nothing_to_check(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    with serving() as plain:
        seen = run("test_certificates_valid", plain, tmp_path / "ca.pem")
    assert (seen.status, seen.message) == (Status.SKIPPED, "no HTTPS endpoint configured")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(301, headers={"location": "https://127.0.0.1:1/version"}), None),
        (Reply(200), Kind.UNEXPECTED_STATUS),
        (Reply(301), Kind.UNEXPECTED_STATUS),
        (Reply(301, headers={"location": "http://127.0.0.1/version"}), Kind.UNEXPECTED_STATUS),
        (Reply(302, headers={"location": "https://elsewhere.test/version"}), Kind.REDIRECT_DROPS_AUTH),
        (Reply(302, headers={"location": "https://127.0.0.1/"}), Kind.REDIRECT_DROPS_AUTH),
    ],
)
def test_http_must_be_redirected_to_the_same_place(tmp_path: Path, reply: Reply, kind: Kind | None) -> None:
    with secure(tmp_path) as (stub, ca_file), serving() as plain:
        plain.replies["/version"] = reply
        seen = run("test_http_redirects_to_https", stub, ca_file, plain=plain.url)
    assert seen.seen == (set() if kind is None else {(kind, "load_balancer")})
    assert (seen.status is Status.PASSED) == (kind is None)


def test_https_must_not_be_redirected(tmp_path: Path) -> None:
    with secure(tmp_path) as (stub, ca_file), serving() as plain:
        plain.replies["/version"] = Reply(301, headers={"location": f"{stub.url}/version"})
        stub.replies["/health"] = Reply(307, headers={"location": "https://elsewhere.test/health"})
        seen = run("test_http_redirects_to_https", stub, ca_file, plain=plain.url)
    assert seen.seen == {(Kind.REDIRECT_DROPS_AUTH, "load_balancer")}
