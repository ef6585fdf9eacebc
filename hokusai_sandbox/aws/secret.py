"""Changing the database's secret as a rotation does: a new version is current, the old one stays
as the previous."""

import copy
import json
import uuid
from collections.abc import Callable
from typing import Any

from moto.secretsmanager.models import secretsmanager_backends

from hokusai_sandbox.plan import ACCOUNT, DATABASE_SECRET, REGION


def change(password: str | None, username: str | None = None) -> Callable[[], None]:
    """Put a new version; returns what takes it back. What is not given stays."""
    backend = secretsmanager_backends[ACCOUNT][REGION]
    secret: Any = backend.secrets[DATABASE_SECRET]
    versions = copy.deepcopy(secret.versions)
    default, changed, text = secret.default_version_id, secret.last_changed_date, secret.secret_string
    current = json.loads(secret.versions[default]["secret_string"])
    if password is not None:
        current["password"] = password
    if username is not None:
        current["username"] = username
    backend.put_secret_value(DATABASE_SECRET, json.dumps(current), "", str(uuid.uuid4()), ["AWSCURRENT"])

    def back() -> None:
        secret.versions, secret.last_changed_date, secret.secret_string = versions, changed, text
        secret.set_default_version_id(default)

    return back
