"""The values of the secrets that a target file names: from the environment, the target's
`env_file`, Secrets Manager, or Systems Manager's parameters."""

import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr

from hokusai_validation import redaction
from hokusai_validation.errors import AwsError, SecretMissing, SecretUnusable
from hokusai_validation.redaction import Redactor
from hokusai_validation.sections import SecretRef, secret_refs
from hokusai_validation.target import Target

FILE_LIMIT_BYTES = 1_000_000


def secret(ref: SecretRef, target: Target) -> SecretStr:
    """The value of a secret that is named by an environment variable: the process's own
    environment first, then the target's `env_file`.

    Raises SecretMissing, also for a `secret_id` or `parameter` (those are for `Secrets` to read),
    SecretUnusable."""
    if ref.env is None:
        raise SecretMissing(f"Secret '{_name(ref)}' is in AWS, not the environment.")
    value = os.environ.get(ref.env)
    if value is None and target.env_file is not None:
        value = _read_env_file(target.env_file).get(ref.env)
    if not value:
        raise SecretMissing(
            f"Environment variable {ref.env} is missing, and target '{target.name}' needs it."
            f" Set it: export {ref.env}=…"
        )
    return checked(value, f"environment variable {ref.env}")


def checked(value: str, name: str) -> SecretStr:
    """A secret that can be sent as it is, and recognised where it must not stand.

    Raises SecretUnusable, which names the secret and never shows it."""
    if value.strip() != value:
        problem = "begins or ends with a blank or a line's end: read it without (`$(cat FILE)` does)"
    elif not value.isprintable():
        problem = "holds a control character or a line's end: give it on one line"
    elif len(value) < redaction.SHORTEST:
        problem = (
            f"has fewer than {redaction.SHORTEST} characters: too short to be kept out of"
            " documents; take a longer one"
        )
    else:
        return SecretStr(value)
    raise SecretUnusable(f"The secret in {name} {problem}.")


def open_to_others(target: Target) -> str | None:
    """A sentence where the target's `env_file` can be read by every user of the machine."""
    path = target.env_file
    if path is None or not path.is_file() or not path.stat().st_mode & stat.S_IROTH:
        return None
    return f"The secrets file {path} can be read by every user of this machine: chmod 600 {path}"


def _read_env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines; blank lines and `#` comments are passed over."""
    try:
        if not path.is_file():  # a pipe or device would be waited for
            raise SecretMissing(f"The secrets file {path} is not there, or is no file; correct `env_file`.")
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise SecretMissing(f"The secrets file {path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SecretMissing(f"The secrets file {path} is not UTF-8 text; correct `env_file`.") from None
    if len(data) > FILE_LIMIT_BYTES:
        raise SecretMissing(f"The secrets file {path} is longer than {FILE_LIMIT_BYTES} bytes.")
    # Not splitlines(): it would cut a value at characters that end no line here.
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value for name, value in pairs}


class Secrets:
    """Looked up when first asked for, then kept. Whatever was looked up is masked by `redactor`."""

    def __init__(
        self,
        target: Target,
        *,
        read: Callable[[SecretRef], str] | None = None,
        given: Mapping[str, SecretStr] | None = None,
    ) -> None:
        """`given` are values by the variable's name, for what was injected and is not in our own
        environment; `read` gets the text of a secret that lies in AWS."""
        self._target = target
        self._read = read or self._from_aws
        self._values = {
            SecretRef(env=name): checked(value.get_secret_value(), f"resource field {name}")
            for name, value in (given or {}).items()
        }
        for each in self._values.values():
            redaction.remember(each)
        self._others: list[SecretStr] = []
        self._redactor: Redactor | None = None

    def value(self, ref: SecretRef) -> SecretStr:
        """The secret itself.

        Raises SecretMissing, SecretUnusable."""
        if ref not in self._values:
            self._values[ref] = secret(ref, self._target) if ref.env is not None else self._stored(ref)
            redaction.remember(self._values[ref])
            self._redactor = None
        return self._values[ref]

    def remember(self, value: SecretStr) -> None:
        """Have one more value masked: a token or key that a test was given on the way."""
        self._others.append(value)
        redaction.remember(value)
        self._redactor = None

    @property
    def redactor(self) -> Redactor:
        """Masks every secret known so far; those in the environment are looked up for it."""
        if self._redactor is None:
            for ref in secret_refs(self._target):
                if ref.env is not None and ref not in self._values:
                    try:
                        self._values[ref] = secret(ref, self._target)
                    except (SecretMissing, SecretUnusable):
                        continue  # what is not there or is refused is not sent, and can't leak
                    redaction.remember(self._values[ref])
            self._redactor = Redactor([*self._values.values(), *self._others])
        return self._redactor

    def _stored(self, ref: SecretRef) -> SecretStr:
        text = self._read(ref)
        self.remember(SecretStr(text))
        if ref.key is None:
            return checked(text, f"AWS's '{_name(ref)}'")
        try:
            value = str(json.loads(text)[ref.key])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SecretMissing(
                f"Secret '{_name(ref)}' has no key '{ref.key}'; correct `key` in target '{self._target.name}'."
            ) from None
        return checked(value, f"key '{ref.key}' of AWS's '{_name(ref)}'")

    def _from_aws(self, ref: SecretRef) -> str:
        from hokusai_validation.resources.aws.calls import AwsCalls
        from hokusai_validation.resources.aws.session import Login

        aws = self._target.aws
        if aws is None:
            raise SecretMissing(
                f"Secret '{_name(ref)}' is in AWS, but target '{self._target.name}' has no"
                " [aws] section; add one, or name an environment variable."
            )
        calls = AwsCalls(aws.region, endpoint_url=aws.endpoint_url, login=Login.of(aws, self._of_login))
        try:
            if ref.parameter is not None:
                answer = calls.call("ssm", "get_parameter", Name=ref.parameter, WithDecryption=True)
                return str(answer["Parameter"]["Value"])
            answer = calls.call(
                "secretsmanager", "get_secret_value", SecretId=ref.secret_id, VersionStage="AWSCURRENT"
            )
        except AwsError as error:
            raise SecretMissing(
                f"Secret '{_name(ref)}' can't be read: {error}"
                f" Check the credentials and the id in target '{self._target.name}'."
            ) from None
        finally:
            calls.close()
        if "SecretString" not in answer:
            raise SecretMissing(f"Secret '{_name(ref)}' holds bytes, no text; store it as a string.")
        return str(answer["SecretString"])

    def _of_login(self, ref: SecretRef) -> SecretStr:
        """What is needed to ask AWS can't be asked of AWS."""
        if ref.env is None:
            raise SecretMissing(
                f"Secret '{_name(ref)}' is needed to log in to AWS, so it can't lie there; name an"
                f" environment variable in `[aws]` of target '{self._target.name}'."
            )
        return self.value(ref)


def _name(ref: SecretRef) -> str:
    return ref.secret_id or ref.parameter or ref.env or ""
