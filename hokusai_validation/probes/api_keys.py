"""API keys as the authentication tests use them: asked with in every form, made where the auth
service lets us, and never left unmasked."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from hokusai_validation.errors import NotConfigured, NotJudged, RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.probes.contract.check import failure
from hokusai_validation.probes.states import SEARCH
from hokusai_validation.redaction import shown
from hokusai_validation.resources import shared
from hokusai_validation.resources.http import Answer, HttpClient
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, word_for

VALIDATE = "/api/v1/keys/validate"
# Needs a key like every path that is not a probe's, and exists nowhere: 404 once the key passed.
NOWHERE = "/api/hokusai-validation/nowhere"
NOT_FOUND = 404
# Its list of experiments is there: where a path leads elsewhere, somebody else says so.
NO_ANSWER_OF_MLFLOW = (NOT_FOUND, 502, 503, 504)
LIMIT_ATTEMPTS = 500
UNANSWERED_FOR_S = 20.0

_unanswered = shared.Lately("mlflow unanswered", UNANSWERED_FOR_S)  # addresses behind which it gave no answer


@dataclass(frozen=True)
class MadeKey:
    """A key made for one test. `key_id` is how the auth service counts it."""

    key: str
    key_id: str


@dataclass(frozen=True)
class Keys:
    """Keys of a target, and the API and auth service that judge them."""

    target: Target
    secrets: Secrets
    api: HttpClient
    auth: HttpClient | None
    admin: HttpClient | None
    evidence: Evidence

    def value(self, ref: SecretRef | None, what: str) -> str:
        """A key that the target file names.

        Skips the test where it names none."""

        if ref is None:
            raise NotConfigured(f"no {what} key configured")
        return self.secrets.value(ref).get_secret_value()

    @property
    def good(self) -> str:
        """The key that everything else uses."""
        return self.value(self.target.keys.good, "good")

    def made(self, kind: str = "good", *, limit: int | None = None) -> MadeKey:
        """A new key of the auth service's admin, masked in every row.

        Raises NotJudged when none is made."""
        assert self.admin is not None
        body: dict[str, object] = {"kind": kind}
        if limit is not None:
            body["rate_limit_per_hour"] = limit
        answer = self.admin.post("/admin/keys", json=body)
        if answer.status not in (200, 201):
            raise NotJudged(f"The auth service's admin made no key: it answered {answer.status}.")
        made = answer.json()
        self.secrets.remember(SecretStr(made["key"]))
        return MadeKey(made["key"], made["key_id"])

    def revoke(self, key_id: str) -> None:
        """Have a made key refused from now on.

        Raises NotJudged."""
        assert self.admin is not None
        answer = self.admin.post(f"/admin/keys/{key_id}/revoke")
        if answer.status != 200:
            raise NotJudged(f"The auth service's admin revoked no key: it answered {answer.status}.")

    def validations(self, key_id: str) -> int:
        """How often the auth service was asked about a key."""
        assert self.admin is not None
        return int(self.admin.get("/admin/requests").json()["validate_by_key"].get(key_id, 0))

    def ask(
        self, headers: Mapping[str, str], *, client: HttpClient | None = None, good: bool = False
    ) -> Answer:
        """A request that needs a key, with these headers: through the proxy to MLflow, and where
        MLflow gives no answer, to a path that needs nothing but the key. A `good` key is taken there at once
        where MLflow gave none a short while ago; one that is to be refused is not sent so far."""
        asked = client or self.api
        prefix = self.target.mlflow.through_gateway if self.target.mlflow else "/api/mlflow"
        if not (good and _unanswered.holds(asked.base_url)):
            answer = asked.get(prefix + SEARCH, headers=headers)
            if answer.status not in NO_ANSWER_OF_MLFLOW:
                return answer
            _unanswered.note(asked.base_url)
        return asked.get(NOWHERE, headers=headers)

    def expect_accepted(self, answer: Answer, what: str) -> None:
        """The key passed.

        Raises ExpectationUnmet, with facts that tell a refused key from a form that is not
        understood and from an auth service that does not answer."""
        self.evidence.answer(what, answer)
        if answer.status < 500 and answer.status not in (401, 403, 429):
            return
        message = f"A good key ({what}) was answered {answer.status}: {shown(answer.text, 80)!r}."
        kind, component = self._why_refused(answer)
        raise failure(message, self.evidence, kind, component, via=Role.API_GATEWAY)

    def expect_refused(self, answer: Answer, what: str) -> None:
        """The key was refused with 401, cleanly.

        Raises ExpectationUnmet."""
        self.evidence.answer(what, answer)
        if answer.status == 401:
            return
        # NOWHERE is found by nobody who may come in.
        came_in = answer.status < 400 or answer.status == NOT_FOUND
        kind = FactKind.BAD_KEY_ACCEPTED if came_in else FactKind.UNEXPECTED_STATUS
        raise failure(
            f"A request with {what} was answered {answer.status}, expected 401.",
            self.evidence,
            kind,
            via=Role.API_GATEWAY,
        )

    def validate(self, key: str) -> Answer:
        """The auth service asked directly, in the form that the contract says.

        Raises the leaves of RequestFailed."""
        assert self.auth is not None
        assert self.target.auth is not None
        return self.auth.post(
            VALIDATE,
            json={"service_id": self.target.auth.service_id},
            headers={"authorization": f"Bearer {key}"},
        )

    def _why_refused(self, answer: Answer) -> tuple[FactKind, str]:
        """What a refused good key shows, and whose fault it is."""
        known: bool | None = None
        if self.auth is not None and self.target.auth is not None:
            try:
                known = self.validate(self.good).status == 200
            except RequestFailed as error:
                self.evidence.failure(error, Role.AUTH)
        if answer.status in (401, 403):
            # The auth service knows the key: then the API read the request, or asked, otherwise.
            return (
                (FactKind.KEY_FORM_REFUSED, Role.API_GATEWAY) if known else (FactKind.KEY_REFUSED, Role.AUTH)
            )
        if answer.status >= 500 and word_for(Role.AUTH) in answer.text.lower():
            return FactKind.SERVICE_UNHEALTHY, Role.AUTH
        return FactKind.UNEXPECTED_STATUS, Role.API_GATEWAY


def bearer(key: str) -> dict[str, str]:
    """The usual header."""
    return {"Authorization": f"Bearer {key}"}


def contains_key(text: str, key: str) -> bool:
    """Whether a text gives a key away: the whole, or the random part of it."""
    secret_part = key.split("_", 2)[-1]
    return key in text or (len(secret_part) >= 8 and secret_part in text)
