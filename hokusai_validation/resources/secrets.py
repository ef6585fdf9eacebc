"""The values of the secrets that a target file names: from the environment, the target's
`env_file`, or Secrets Manager."""

import json
from collections.abc import Callable, Mapping

from pydantic import SecretStr

from hokusai_validation.errors import SecretMissing
from hokusai_validation.redaction import Redactor
from hokusai_validation.target import SecretRef, Target, secret, secret_refs

AWS_TIMEOUT_S = 5


class Secrets:
    """Looked up when first asked for, then kept. Whatever was looked up is masked by `redactor`."""

    def __init__(
        self,
        target: Target,
        *,
        read: Callable[[str], str] | None = None,
        given: Mapping[str, SecretStr] | None = None,
    ) -> None:
        """`given` are values by the variable's name, for what was injected and is not in our own
        environment; `read` gets a secret of Secrets Manager by its id."""
        self._target = target
        self._read = read or self._from_secrets_manager
        self._values = {SecretRef(env=name): value for name, value in (given or {}).items()}
        self._others: list[SecretStr] = []
        self._redactor: Redactor | None = None

    def value(self, ref: SecretRef) -> SecretStr:
        """The secret itself.

        Raises SecretMissing."""
        if ref not in self._values:
            self._values[ref] = (
                secret(ref, self._target)
                if ref.env is not None
                else self._stored(ref.secret_id or "", ref.key)
            )
            self._redactor = None
        return self._values[ref]

    def remember(self, value: SecretStr) -> None:
        """Have one more value masked: a token or key that a test was given on the way."""
        self._others.append(value)
        self._redactor = None

    @property
    def redactor(self) -> Redactor:
        """Masks every secret known so far; those in the environment are looked up for it."""
        if self._redactor is None:
            for ref in secret_refs(self._target):
                if ref.env is not None and ref not in self._values:
                    try:
                        self._values[ref] = secret(ref, self._target)
                    except SecretMissing:
                        continue  # what isn't there can't leak
            self._redactor = Redactor([*self._values.values(), *self._others])
        return self._redactor

    def _stored(self, secret_id: str, key: str | None) -> SecretStr:
        text = self._read(secret_id)
        self.remember(SecretStr(text))
        if key is None:
            return SecretStr(text)
        try:
            return SecretStr(str(json.loads(text)[key]))
        except (ValueError, KeyError, TypeError):
            raise SecretMissing(
                f"Secret '{secret_id}' has no key '{key}'; correct `key` in target '{self._target.name}'."
            ) from None

    def _from_secrets_manager(self, secret_id: str) -> str:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        aws = self._target.aws
        if aws is None:
            raise SecretMissing(
                f"Secret '{secret_id}' is in Secrets Manager, but target '{self._target.name}' has no"
                " [aws] section; add one, or name an environment variable."
            )
        access = None if aws.access_key is None else self.value(aws.access_key).get_secret_value()
        hidden = None if aws.secret_key is None else self.value(aws.secret_key).get_secret_value()
        client = boto3.client(
            "secretsmanager",
            region_name=aws.region,
            endpoint_url=aws.endpoint_url,
            aws_access_key_id=access,
            aws_secret_access_key=hidden,
            config=Config(
                connect_timeout=AWS_TIMEOUT_S,
                read_timeout=AWS_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": 3},
            ),
        )
        try:
            answer = client.get_secret_value(SecretId=secret_id, VersionStage="AWSCURRENT")
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            raise SecretMissing(
                f"Secret '{secret_id}' can't be read from Secrets Manager in {aws.region}: {code}."
                f" Check the credentials and the id in target '{self._target.name}'."
            ) from None
        return str(answer["SecretString"])
