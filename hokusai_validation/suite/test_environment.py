"""The environment: credentials before anything else, versions, names and certificates."""

import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from urllib.parse import urlsplit

import pytest

import hokusai_validation
from hokusai_validation.errors import AwsCredentialsRefused, HokusaiError, NotConfigured, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.check import expect
from hokusai_validation.redaction import shown
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.certificates import look_at
from hokusai_validation.resources.database import Database
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.mlflow import Mlflow
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.redis import Redis
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, word_for

PACKAGES = ("dagster", "mlflow", "pytest", "boto3")
REDIRECTS = (301, 302, 307, 308)
PROXIED_SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


class TestCredentials:
    """Whether we may come in at all: what fails here explains the rest."""

    def test_api_key(
        self, target: Target, registry: HttpClient, secrets: Secrets, evidence: Evidence
    ) -> None:
        """The good key is accepted by the gateway."""
        # `/` needs no MLflow; where a deployment serves it without a key it proves nothing.
        path = "/"
        if registry.get("/").status != 401:
            prefix = target.mlflow.through_gateway if target.mlflow is not None else "/api/mlflow"
            path = f"{prefix}{PROXIED_SEARCH}"
        answer = registry.get(path, key=True)
        evidence.answer("with the good key", answer)
        if answer.status in (401, 403):
            accepted = _auth_service_accepts(target, secrets, evidence)
            kind, component = (
                (FactKind.KEY_FORM_REFUSED, Role.API_GATEWAY)
                if accepted
                else (FactKind.KEY_REFUSED, Role.AUTH)
            )
            evidence.fact(
                kind,
                component,
                f"GET {path} with the good key answered {answer.status}",
                via=Role.API_GATEWAY,
            )
            whose = (
                "but the auth service accepts it: the gateway asks in another form than it expects"
                if accepted
                else "check that it is valid, and export it anew"
            )
            pytest.fail(f"The API key `keys.good` was refused with {answer.status}; {whose}.")
        if answer.status == 503 and word_for(Role.AUTH) in answer.text.lower():
            evidence.fact(
                FactKind.UNEXPECTED_STATUS, Role.AUTH, shown(answer.text, 200), via=Role.API_GATEWAY
            )
            pytest.fail("The API key could not be validated: the gateway does not reach the auth service.")
        # Past the key's check, other errors are another test's.

    def test_database_login(self, target: Target, database: Database, evidence: Evidence) -> None:
        """The database takes the user and the password that the target names."""
        user, name = database.query("select current_user, current_database()")[0]
        evidence.record("session", {"user": user, "database": name, "address": database.address})

    def test_aws_identity(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """AWS knows the credentials, and they are of the account that is meant."""
        assert target.aws is not None
        try:
            identity = aws.identity()
        except AwsCredentialsRefused as error:
            evidence.fact(FactKind.AWS_CREDENTIALS_REFUSED, Role.SERVICE_DISCOVERY, str(error))
            pytest.fail(str(error))
        evidence.record("identity", identity)
        expected = target.aws.account_id
        expect(
            expected is None or identity.account == expected,
            f"The AWS credentials are of account {identity.account}, not {expected}; use the target's.",
            evidence,
            FactKind.AWS_CREDENTIALS_REFUSED,
            Role.SERVICE_DISCOVERY,
        )


def _auth_service_accepts(target: Target, secrets: Secrets, evidence: Evidence) -> bool:
    if target.auth is None or target.keys.good is None:
        return False
    key = secrets.value(target.keys.good).get_secret_value()
    with HttpClient(
        target.auth.url,
        tls=target.tls,
        resolver=Resolver(target.dns.resolver),
        timeout_s=target.limits.request_s,
    ) as client:
        try:
            answer = client.post(
                "/api/v1/keys/validate",
                json={"service_id": target.auth.service_id},
                headers={"authorization": f"Bearer {key}"},
            )
        except RequestFailed as error:
            evidence.failure(error, Role.AUTH)
            return False
    evidence.record("asked of the auth service itself", {"status": answer.status})
    return answer.status == 200


class TestVersions:
    """What took part in this run."""

    def test_versions_recorded(self, target: Target, secrets: Secrets, evidence: Evidence) -> None:
        """Ours and the target's versions are on record; one that can't be had is left out."""
        versions = {
            "python": platform.python_version(),
            "platform": sys.platform,
            "hokusai-validation": hokusai_validation.__version__,
            **{name: metadata.version(name) for name in PACKAGES},
        }
        unknown: dict[str, str] = {}
        for name, ask in _version_sources(target, secrets).items():
            try:
                versions[name] = ask()
            except HokusaiError as error:
                unknown[name] = str(error)
        evidence.record("versions", versions)
        evidence.record("unknown", unknown)
        for name in [each for each in ("python", "platform") if not versions.get(each)]:
            pytest.fail(f"The version of {name} could not be determined.")


def _version_sources(target: Target, secrets: Secrets) -> Mapping[str, Callable[[], str]]:
    resolver = Resolver(target.dns.resolver)

    def api() -> str:
        with HttpClient(target.url or "", tls=target.tls, resolver=resolver, timeout_s=5) as client:
            return str(client.get("/version").object().get("version", ""))

    def postgres() -> str:
        return str(Database.from_target(target, secrets).query("show server_version")[0][0])

    def mlflow() -> str:
        found = Mlflow.from_target(target, secrets)
        try:
            return shown(found.http.get("/version", timeout_s=5).text.strip(), 40)
        finally:
            found.close()

    def redis() -> str:
        found = Redis.from_target(target, secrets)
        try:
            return found.info().get("redis_version", "")
        finally:
            found.close()

    sources: dict[str, Callable[[], str]] = {}
    if target.url is not None:
        sources["api"] = api
    if target.database is not None:
        sources["postgres"] = postgres
    if target.mlflow is not None and target.mlflow.url is not None:
        sources["mlflow server"] = mlflow
    if target.redis is not None:
        sources["redis"] = redis
    return sources


class TestNames:
    """Names, as the target's own resolver answers them."""

    def test_public_names_resolve(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """Every public name has an address."""
        _resolve(target.dns.public_names, Role.LOAD_BALANCER, resolver, evidence)

    def test_private_names_resolve(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """Every private name has an address, asked from inside."""
        if not target.dns.search_private:
            raise NotConfigured("private names are not visible from here (`dns.search_private`)")
        _resolve(target.dns.private_names, Role.SERVICE_DISCOVERY, resolver, evidence)


def _resolve(names: tuple[str, ...], component: str, resolver: Resolver, evidence: Evidence) -> None:
    found: dict[str, list[str]] = {}
    unknown: list[str] = []
    for name in names:
        try:
            found[name] = list(resolver.addresses(name))
        except RequestFailed as error:
            evidence.failure(error, component)
            unknown.append(str(error))
    evidence.record("addresses", found)
    if unknown:
        pytest.fail(" ".join(unknown))


class TestTls:
    """Certificates of every endpoint, and the way from HTTP to HTTPS."""

    def test_certificates_valid(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """Chain, name and dates are right at every HTTPS endpoint."""
        wrong: list[str] = []
        for name, url in _secure_endpoints(target).items():
            try:
                certificate = look_at(url, tls=target.tls, resolver=resolver)
            except RequestFailed as error:
                evidence.failure(error, Role.LOAD_BALANCER, via=name)
                wrong.append(str(error))
                continue
            evidence.record(name, certificate)
        if wrong:
            pytest.fail(" ".join(wrong))

    def test_certificates_not_expiring(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """Every certificate lasts longer than the threshold."""
        now = datetime.now(UTC)
        soon: list[str] = []
        for name, url in _secure_endpoints(target).items():
            certificate = look_at(url, tls=target.tls, resolver=resolver)
            days = certificate.days_left(now)
            evidence.metric(f"{name}_certificate_days", round(days, 1))
            if days < target.tls.expiring_days:
                seen = f"The certificate of {certificate.host} expires in {days:.1f} days ({certificate.expires_at:%Y-%m-%d})"
                evidence.fact(FactKind.CERTIFICATE_EXPIRING, Role.LOAD_BALANCER, seen)
                soon.append(f"{seen}, threshold {target.tls.expiring_days} days: renew it.")
        if soon:
            pytest.fail(" ".join(soon))

    def test_http_redirects_to_https(self, target: Target, resolver: Resolver, evidence: Evidence) -> None:
        """Plain HTTP is redirected to HTTPS at the same host, and HTTPS is not redirected: at
        another host, clients drop the `Authorization` header."""
        plain = _plain_url(target)
        if plain is None:
            raise NotConfigured("no plain HTTP address known (`endpoints.plain`)")
        host = urlsplit(target.url or "").hostname or ""
        with HttpClient(plain, tls=target.tls, resolver=resolver, timeout_s=5) as client:
            answer = client.get("/version", headers={"host": host})
        evidence.answer("over HTTP", answer)
        location = answer.headers.get("location", "")
        expect(
            answer.status in REDIRECTS and location.startswith("https://"),
            f"GET {plain}/version over HTTP answered {answer.status}"
            f" {location or 'without Location'}, not a redirect to HTTPS.",
            evidence,
            FactKind.UNEXPECTED_STATUS,
            Role.LOAD_BALANCER,
        )
        there = urlsplit(location)
        expect(
            (there.hostname or "").lower() == host.lower() and there.path == "/version",
            f"HTTP is redirected to {location}: to another host or path, where clients drop the"
            " Authorization header.",
            evidence,
            FactKind.REDIRECT_DROPS_AUTH,
            Role.LOAD_BALANCER,
        )
        for name, url in _secure_endpoints(target).items():
            with HttpClient(url, tls=target.tls, resolver=resolver, timeout_s=5) as client:
                direct = client.get("/health")
            expect(
                direct.status not in REDIRECTS,
                f"GET {url}/health over HTTPS is redirected ({direct.status}) to"
                f" {direct.headers.get('location', '')}: clients drop the Authorization header there.",
                evidence,
                FactKind.REDIRECT_DROPS_AUTH,
                Role.LOAD_BALANCER,
                via=name,
            )


def _secure_endpoints(target: Target) -> dict[str, str]:
    pairs = {
        "registry": target.endpoints.registry,
        "api": target.endpoints.api,
        "auth": target.endpoints.auth,
    }
    found = {name: url for name, url in pairs.items() if url is not None and url.startswith("https://")}
    if not found:
        raise NotConfigured("no HTTPS endpoint configured")
    return found


def _plain_url(target: Target) -> str | None:
    if target.endpoints.plain is not None:
        return target.endpoints.plain
    parts = urlsplit(target.url or "")
    standard = parts.scheme == "https" and parts.port in (None, 443)
    return f"http://{parts.hostname}" if standard else None
