"""Answers as the contract writes them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response


def now() -> str:
    """ISO 8601, with time zone."""
    return datetime.now(UTC).isoformat()


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Response(body.encode(), status, headers, "application/json")


def refusal(detail: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An error with its reason in `detail`."""
    return answer({"detail": detail}, status, headers)
