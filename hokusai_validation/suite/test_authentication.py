"""Authentication at the API: which keys pass, in which form, how often, and where they never show."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hokusai_validation.errors import AwsNotFound, ExpectationUnmet, NotJudged
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.api_keys import (
    LIMIT_ATTEMPTS,
    NOWHERE,
    Keys,
    bearer,
    contains_key,
)
from hokusai_validation.probes.baseline import require_well
from hokusai_validation.probes.contract.answers import Refusal, ValidKey
from hokusai_validation.probes.contract.check import PROBES, conforms, expect, has_status
from hokusai_validation.probes.instances import ApiInstance
from hokusai_validation.probes.states import Scene, retry_after_s
from hokusai_validation.redaction import shown
from hokusai_validation.resources.http import Answer, HttpClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.redis import Redis
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.resources.unknown_key import unknown_key
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

if TYPE_CHECKING:
    from hokusai_validation.resources.aws.client import Aws

ACCEPTED_FORMS: dict[str, Callable[[str], dict[str, str]]] = {
    "bearer": bearer,
    "bearer_lower_case": lambda key: {"Authorization": f"bearer {key}"},
    "two_spaces": lambda key: {"Authorization": f"Bearer  {key}"},
    "apikey_scheme": lambda key: {"Authorization": f"ApiKey {key}"},
    "x_api_key": lambda key: {"X-API-Key": key},
    "x_api_key_lower_case": lambda key: {"x-api-key": key},
    "x_api_key_mixed_case": lambda key: {"x-ApI-kEy": key},
    "x_api_key_upper_case": lambda key: {"X-API-KEY": key},
}
REFUSED_FORMS: dict[str, Callable[[str], dict[str, str]]] = {
    "no_scheme": lambda key: {"Authorization": key},
    "no_space": lambda key: {"Authorization": f"Bearer{key}"},
}
BAD_KEYS: dict[str, Callable[[], dict[str, str]]] = {
    "short": lambda: bearer("hk_x"),
    "without_prefix": lambda: bearer(unknown_key().removeprefix("hk_live_")),
    "empty": lambda: {"X-API-Key": ""},
    "null": lambda: bearer("null"),
    "other_prefix": lambda: bearer(unknown_key().replace("hk_", "sk_", 1)),
    "unknown": lambda: bearer(unknown_key()),
}
SMALL_LIMIT = 3
LOOKS = 4  # by way of a balancer, each at whichever instance comes next
QUIET_S = 0.3
QUIET_LIMIT_S = 3.0
CACHE_ATTEMPTS = 5
LOG_WAIT_S = 5.0
REDIS_KEYS_LIMIT = 20_000
LOGS_STOPPED = timedelta(hours=1)


@pytest.fixture
def keys(
    target: Target, secrets: Secrets, resolver: Resolver, registry: HttpClient, evidence: Evidence
) -> Iterator[Keys]:
    """The target's keys, and who judges them."""
    auth_url = target.auth.url if target.auth else target.endpoints.auth
    admin_url = target.auth.admin if target.auth else None
    auth = (
        None
        if auth_url is None
        else HttpClient(auth_url, tls=target.tls, resolver=resolver, timeout_s=target.limits.request_s)
    )
    admin = None if admin_url is None else HttpClient(admin_url, tls=target.tls, resolver=resolver)
    yield Keys(target, secrets, registry, auth, admin, evidence)
    for client in (auth, admin):
        if client is not None:
            client.close()


@pytest.fixture
def limits_counted(
    request: pytest.FixtureRequest, target: Target, registry: HttpClient, relied_on: tuple[str, ...]
) -> None:
    """Every instance has the cache, in which a key's requests are counted."""
    asked = [ApiInstance(target.named(Role.LOAD_BALANCER), registry, None)] * LOOKS
    require_well(request.getfixturevalue("instances") if target.instances else asked, target, relied_on)


class TestAuthentication:
    """The cases of the contract."""

    @pytest.mark.parametrize("form", ACCEPTED_FORMS)
    def test_key_form_accepted(self, keys: Keys, form: str) -> None:
        keys.expect_accepted(keys.ask(ACCEPTED_FORMS[form](keys.good), good=True), form)

    @pytest.mark.parametrize("form", REFUSED_FORMS)
    def test_key_form_refused(self, keys: Keys, form: str) -> None:
        keys.expect_refused(keys.ask(REFUSED_FORMS[form](keys.good)), f"a good key in the form {form}")

    def test_key_in_query_refused(self, keys: Keys) -> None:
        # Not the good key: a request's path ends up in access logs. Any key of the right form tells.
        for name in ("api_key", "key", "token", "access_token"):
            answer = keys.api.get(f"{NOWHERE}?{name}={unknown_key()}")
            keys.expect_refused(answer, f"a key in the query as `{name}`")

    def test_no_key_refused(self, keys: Keys, evidence: Evidence) -> None:
        answer = keys.ask({})
        keys.expect_refused(answer, "no key")
        refusal = conforms(answer, Refusal, evidence, status=401)
        expect(
            refusal.detail == "API key required",
            f"Without a key, `detail` is {refusal.detail!r}, expected 'API key required'.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
        )

    @pytest.mark.parametrize("kind", BAD_KEYS)
    def test_bad_key_refused(self, keys: Keys, kind: str) -> None:
        keys.expect_refused(keys.ask(BAD_KEYS[kind]()), f"a bad key ({kind})")

    def test_expired_key_refused(self, keys: Keys, target: Target) -> None:
        key = keys.value(target.keys.expired, "expired")
        keys.expect_refused(keys.ask(bearer(key)), "an expired key")

    def test_revoked_key_refused(self, keys: Keys, target: Target) -> None:
        key = keys.value(target.keys.revoked, "revoked")
        keys.expect_refused(keys.ask(bearer(key)), "a revoked key")

    def test_auth_service_healthy(
        self, target: Target, resolver: Resolver, keys: Keys, evidence: Evidence
    ) -> None:
        client = keys.auth
        assert client is not None
        answer = client.get("/health")
        has_status(answer, 200, evidence, Role.AUTH)
        expect(
            answer.object().get("status") == "healthy",
            f"The auth service says {shown(answer.text, 80)!r} of itself.",
            evidence,
            FactKind.SERVICE_UNHEALTHY,
            Role.AUTH,
        )

    def test_key_validated_end_to_end(self, keys: Keys, target: Target, evidence: Evidence) -> None:
        answer = keys.validate(keys.good)
        if answer.status == 401:
            evidence.fact(FactKind.KEY_REFUSED, Role.AUTH, "the good key, asked for directly")
        valid = conforms(answer, ValidKey, evidence, component=Role.AUTH)
        assert target.auth is not None
        expect(
            valid.service_id == target.auth.service_id,
            f"Validated for service {valid.service_id!r}, asked for {target.auth.service_id!r}.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
            Role.AUTH,
        )
        keys.expect_accepted(keys.ask(bearer(keys.good), good=True), "end to end")
        refused = keys.validate(unknown_key())
        evidence.answer("an unknown key", refused)
        expect(
            refused.status == 401,
            f"The auth service answered {refused.status} to an unknown key, expected 401.",
            evidence,
            FactKind.BAD_KEY_ACCEPTED if refused.status < 400 else FactKind.UNEXPECTED_STATUS,
            Role.AUTH,
        )

    def test_first_request_asks_auth_service(self, keys: Keys, evidence: Evidence) -> None:
        made = keys.made()
        keys.expect_accepted(keys.ask(bearer(made.key), good=True), "a key's first request")
        asked = keys.validations(made.key_id)
        expect(
            asked >= 1,
            "A key's first request was served, and the auth service was not asked.",
            evidence,
            FactKind.BAD_KEY_ACCEPTED,
        )

    def test_second_request_is_cached(self, keys: Keys, evidence: Evidence) -> None:
        made = keys.made()
        keys.expect_accepted(keys.ask(bearer(made.key), good=True), "a key's first request")
        first = keys.validations(made.key_id)
        for _ in range(3):
            keys.expect_accepted(keys.ask(bearer(made.key), good=True), "a key's later request")
        later = keys.validations(made.key_id) - first
        expect(
            later == 0,
            f"The auth service was asked {later} times again about a key that it had just validated.",
            evidence,
            FactKind.SLOW,
        )

    @pytest.mark.usefixtures("limits_counted")
    def test_rate_limit_reached(self, keys: Keys, evidence: Evidence) -> None:
        answers = _until_limited(keys)
        limited = answers[-1]
        for name in ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"):
            for answer in (answers[0], limited):
                expect(
                    answer.headers.get(name, "").isdigit(),
                    f"An answer with status {answer.status} has {name} {answer.headers.get(name)!r},"
                    " expected a whole number.",
                    evidence,
                    FactKind.SCHEMA_MISMATCH,
                )
        if keys.admin is not None:
            expect(
                len(answers) == SMALL_LIMIT + 1,
                f"With a limit of {SMALL_LIMIT}, request {len(answers)} was the first that was limited.",
                evidence,
                FactKind.UNEXPECTED_STATUS,
            )

    @pytest.mark.usefixtures("limits_counted")
    def test_rate_limit_says_when_to_retry(self, keys: Keys, evidence: Evidence) -> None:
        limited = _until_limited(keys)[-1]
        seconds = retry_after_s(limited, evidence)
        expect(
            0 < seconds <= 3600,
            f"429 with Retry-After {seconds:g}, expected 1–3600 s.",
            evidence,
            FactKind.SCHEMA_MISMATCH,
        )


class TestKeySafety:
    """What must not pass without a key, what must, and where a key never shows."""

    def test_reset_needs_key(self, keys: Keys, evidence: Evidence) -> None:
        for what, headers in (("no key", {}), ("a bad key", bearer(unknown_key()))):
            answer = keys.api.post("/health/mlflow/reset", headers=headers)
            evidence.answer(what, answer)
            expect(
                answer.status == 401,
                f"A reset with {what} was answered {answer.status}, expected 401.",
                evidence,
                FactKind.RESET_WITHOUT_KEY if answer.status < 400 else FactKind.UNEXPECTED_STATUS,
            )

    @pytest.mark.parametrize("path", PROBES)
    def test_probe_needs_no_key(self, keys: Keys, path: str, evidence: Evidence) -> None:
        answer = keys.api.get(path, as_anybody=True)
        evidence.answer(path, answer)
        expect(
            answer.status not in (401, 403),
            f"GET {path} without a key was answered {answer.status}.",
            evidence,
            FactKind.PROBE_NEEDS_KEY,
        )
        # /ready may say 503; that is another test's to judge.
        served = answer.status < 400 or (path == "/ready" and answer.status == 503)
        expect(
            served,
            f"GET {path} was answered {answer.status}, expected it to be served.",
            evidence,
            FactKind.UNEXPECTED_STATUS,
        )

    def test_keys_never_in_answers(self, keys: Keys, evidence: Evidence) -> None:
        key = keys.good
        for path in (*PROBES, "/health?detailed=true", "/health/status", "/health/mlflow", NOWHERE):
            for sent in (bearer(key), {"X-API-Key": key}):
                _gives_nothing_away(keys.api.get(path, headers=sent), key, evidence)
        wrong = unknown_key()
        for answer in (keys.ask(bearer(wrong)), keys.api.get(NOWHERE, headers={"X-API-Key": wrong})):
            _gives_nothing_away(answer, wrong, evidence)
        if keys.auth is not None:
            _gives_nothing_away(keys.validate(key), key, evidence, Role.AUTH)

    def test_keys_never_in_redirects(self, keys: Keys, target: Target, evidence: Evidence) -> None:
        key = keys.good
        paths = ("/health/", "/docs/", "/ready/", "/api/mlflow", "/mlflow", "//")
        answers = [keys.api.get(path, headers=bearer(key)) for path in paths]
        redirects = [answer for answer in answers if 300 <= answer.status < 400]
        evidence.record("redirects", [answer.evidence(0) for answer in redirects])
        for answer in redirects:
            location = answer.headers.get("location", "")
            expect(
                not contains_key(location, key),
                f"{answer.method} {answer.url} redirects to an address that holds the key.",
                evidence,
                FactKind.SECRET_LEAKED,
            )

    def test_keys_never_in_logs(
        self, keys: Keys, target: Target, evidence: Evidence, request: pytest.FixtureRequest
    ) -> None:
        aws: Aws = request.getfixturevalue("aws")
        assert target.aws is not None
        group = target.aws.services[target.named(Role.API_GATEWAY)].log_group
        since = datetime.now(UTC)
        bad, mark = unknown_key(), f"{NOWHERE}/{unknown_key()[-12:].strip('_-')}"
        keys.api.get(mark, headers=bearer(bad))
        keys.api.get(mark, headers={"X-API-Key": bad})
        keys.api.get(f"{mark}?api_key={bad}")
        keys.api.get(mark, headers=bearer(keys.good))
        lines = _log_lines(aws, str(group), since, mark)
        evidence.record("log lines read", len(lines))
        leaking = [line for line in lines if contains_key(line, bad) or contains_key(line, keys.good)]
        expect(
            not leaking,
            f"{len(leaking)} of {len(lines)} log lines hold a key; the first: {leaking[:1]}.",
            evidence,
            FactKind.SECRET_LEAKED,
        )


class TestKeyCache:
    """The cache between the API and the auth service, seen at the link."""

    def test_cached_key_does_not_reach_auth_service(
        self, scene: Scene, keys: Keys, evidence: Evidence
    ) -> None:
        made, client = keys.made(), scene.instance.client
        before = _quiet_bytes(scene)
        keys.expect_accepted(keys.ask(bearer(made.key), client=client, good=True), "a key's first request")
        sent = scene.bytes_to(Role.AUTH) - before
        if sent == 0:
            raise NotJudged(
                "A new key was accepted without a byte on the auth link: it is not the one in use."
            )
        counts = []
        for _ in range(CACHE_ATTEMPTS):
            # Usage reports pass the same link, after the answer; a validation comes before it.
            before = _quiet_bytes(scene)
            keys.expect_accepted(
                keys.ask(bearer(made.key), client=client, good=True), "a key's later request"
            )
            counts.append(scene.bytes_to(Role.AUTH) - before)
            if counts[-1] == 0:
                break
        evidence.record("bytes to the auth service, each later request", counts)
        expect(
            counts[-1] == 0,
            f"Each of {len(counts)} later requests reached the auth service ({counts} bytes): the cache"
            " is not honoured.",
            evidence,
            FactKind.SLOW,
            via=scene.name,
        )

    def test_cached_key_survives_auth_service(self, scene: Scene, keys: Keys) -> None:
        made, client = keys.made(), scene.instance.client
        keys.expect_accepted(keys.ask(bearer(made.key), client=client, good=True), "a key's first request")
        with scene.cut(Role.AUTH):
            # Its usage can't be reported either, and that must not matter.
            for _ in range(3):
                keys.expect_accepted(
                    keys.ask(bearer(made.key), client=client, good=True),
                    "a cached key, the auth service cut off",
                )

    def test_cached_keys_expire(self, keys: Keys, redis: Redis, target: Target, evidence: Evidence) -> None:
        before = _redis_keys(redis)
        keys.expect_accepted(keys.ask(bearer(keys.made().key), good=True), "a key's first request")
        kept = {name: redis.ttl_s(name) for name in _redis_keys(redis) - before}
        evidence.record("new keys in redis, and seconds left", kept)
        expect(
            kept and max(kept.values()) > 0,
            "A key's first request left nothing in redis: nothing is cached.",
            evidence,
            FactKind.SLOW,
            Role.CACHE,
        )
        forever = [name for name, seconds in kept.items() if seconds == -1]
        expect(
            not forever and min(kept.values()) <= target.gateway.key_cache_s,
            f"A validated key is kept in redis for good, or longer than {target.gateway.key_cache_s:g} s:"
            f" {sorted(kept.values())} s. A revoked one would go on being served.",
            evidence,
            FactKind.STALE_KEY_ACCEPTED,
        )

    def test_right_without_redis(self, scene: Scene, keys: Keys, evidence: Evidence) -> None:
        made, client = keys.made(), scene.instance.client
        with scene.cut(Role.CACHE):
            for count in range(1, 4):
                # One request each, whatever state MLflow is in.
                answer = client.get(NOWHERE, headers=bearer(made.key))
                if answer.status >= 500:
                    evidence.fact(
                        FactKind.OPTIONAL_REQUIRED,
                        Role.CACHE,
                        f"a request was answered {answer.status}",
                        scene.name,
                    )
                keys.expect_accepted(answer, "a good key, redis cut off")
                asked = keys.validations(made.key_id)
                expect(
                    asked == count,
                    f"Without redis, {count} requests made the auth service be asked {asked} times.",
                    evidence,
                    FactKind.STALE_KEY_ACCEPTED if asked < count else FactKind.SLOW,
                    via=scene.name,
                )
            keys.expect_refused(
                keys.ask(bearer(unknown_key()), client=client), "an unknown key, redis cut off"
            )
            keys.revoke(made.key_id)
            answer = keys.ask(bearer(made.key), client=client)
            if answer.status < 400:
                evidence.fact(
                    FactKind.STALE_KEY_ACCEPTED,
                    Role.API_GATEWAY,
                    "a revoked key, without a cache",
                    scene.name,
                )
            keys.expect_refused(answer, "a revoked key, redis cut off")


def _redis_keys(redis: Redis) -> set[str]:
    """Names in redis, page by page.

    Skips the test where there are too many to be looked through."""
    found: set[str] = set()
    cursor = 0
    while True:
        cursor, names = redis.run("SCAN", cursor, "COUNT", 1000)
        found |= {each.decode() if isinstance(each, bytes) else str(each) for each in names}
        cursor = int(cursor)
        if not cursor:
            return found
        if len(found) > REDIS_KEYS_LIMIT:
            pytest.skip(f"redis holds more than {REDIS_KEYS_LIMIT} keys")


def _until_limited(keys: Keys) -> list[Answer]:
    """Requests with a key of a small limit until one is answered 429."""
    if keys.admin is not None:
        key = keys.made("limited", limit=SMALL_LIMIT).key
    else:
        key = keys.value(keys.target.keys.limited, "limited")
    answers: list[Answer] = []
    most = SMALL_LIMIT + 3 if keys.admin is not None else LIMIT_ATTEMPTS
    while len(answers) < most:
        answer = keys.api.get(NOWHERE, headers=bearer(key))
        answers.append(answer)
        if answer.status == 429:
            keys.evidence.answer("limited", answer)
            return answers
        keys.expect_accepted(answer, "a key below its limit")
    keys.evidence.fact(FactKind.UNEXPECTED_STATUS, Role.API_GATEWAY, f"no 429 in {most} requests")
    raise ExpectationUnmet(f"{most} requests with a limited key, and none was answered 429.")


def _gives_nothing_away(
    answer: Answer, key: str, evidence: Evidence, component: str = Role.API_GATEWAY
) -> None:
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    for where, text in (("body", answer.text), ("headers", headers)):
        expect(
            not contains_key(text, key),
            f"{answer.method} {answer.url} gives the caller's key away in its {where}.",
            evidence,
            FactKind.SECRET_LEAKED,
            component,
        )


def _quiet_bytes(scene: Scene) -> int:
    """Bytes sent to the auth service so far, once none came for a while."""
    deadline = time.monotonic() + QUIET_LIMIT_S
    seen, since = scene.bytes_to(Role.AUTH), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        if time.monotonic() > deadline:
            raise NotJudged("The link to the auth service does not become quiet; other callers use it.")
        time.sleep(0.02)
        now = scene.bytes_to(Role.AUTH)
        if now != seen:
            seen, since = now, time.monotonic()
    return seen


def _log_lines(aws: "Aws", group: str, since: datetime, mark: str) -> list[str]:
    """The API's log lines since a time, once those of the marked requests are there.

    Skips the test when none arrive."""
    deadline = time.monotonic() + LOG_WAIT_S
    try:
        newest = aws.data.log_group(group).last_event_at
    except AwsNotFound:
        pytest.skip(f"there is no log group {group}")
    if newest is None or since - newest > LOGS_STOPPED:
        pytest.skip(f"the API writes nothing to log group {group}")
    while True:
        lines = [event.message for event in aws.data.log_events(group, since)]
        if any(mark in line for line in lines):
            return lines
        if time.monotonic() > deadline:
            pytest.skip(f"the API's requests do not show in log group {group}")
        time.sleep(0.2)
