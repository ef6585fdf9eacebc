"""Changing the database's secret as a rotation does: a new version is current, the old one stays
as the previous."""

import copy
import json
import uuid
from collections.abc import Callable

from moto.secretsmanager.models import secretsmanager_backends

from hokusai_validation.sandbox.plan import ACCOUNT, DATABASE_SECRET, REGION


def change(password: str | None) -> Callable[[], None]:
    """Put a new version; returns what takes it back. Without a password only the date changes."""
    backend = secretsmanager_backends[ACCOUNT][REGION]
    secret = backend.secrets[DATABASE_SECRET]
    before = (
        copy.deepcopy(secret.versions),
        secret.default_version_id,
        secret.last_changed_date,
        secret.secret_string,
    )
    current = json.loads(secret.versions[secret.default_version_id]["secret_string"])
    if password is not None:
        current["password"] = password
    backend.put_secret_value(DATABASE_SECRET, json.dumps(current), "", str(uuid.uuid4()), ["AWSCURRENT"])

    def back() -> None:
        secret.versions, version, secret.last_changed_date, secret.secret_string = before
        secret.set_default_version_id(version)

    return back
