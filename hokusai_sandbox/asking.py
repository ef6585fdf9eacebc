"""Asking the supervisor of a sandbox that is up, from another process."""

import http.client
import json
from pathlib import Path
from typing import Any

from pydantic import JsonValue

TIMEOUT_S = 5.0


def processes(directory: Path, address: str) -> list[dict[str, JsonValue]]:
    """Its processes as they are now; empty when it does not answer."""
    try:
        found = ask(directory, address, "GET", "/processes")
    except (OSError, ValueError, http.client.HTTPException):
        return []
    return list(found) if isinstance(found, list) else []


def ask(
    directory: Path,
    address: str,
    method: str,
    path: str,
    value: object = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Any:
    """One request to the control agent, with the token from `secrets.env`.

    Raises OSError, ValueError, http.client.HTTPException."""
    token = ""
    for line in (directory / "secrets.env").read_text().splitlines():
        name, _, found = line.partition("=")
        if name == "HOKUSAI_SANDBOX_CONTROL_TOKEN":
            token = found
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout_s)
    try:
        body = None if value is None else json.dumps(value)
        connection.request(method, path, body=body, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"{method} {path} answered {answer.status}: {content}")
    return content
