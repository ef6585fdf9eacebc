"""The HTTP client against a hostile server: bounded in time and memory, each trouble by its name."""

import time
from pathlib import Path

import pytest

from hokusai_validation.errors import AnswerTooLarge, ProtocolViolated, ReadTimedOut, RequestFailed
from hokusai_validation.resources.http import HttpClient
from hokusai_validation_tests.hostile.server import WAYS, hostile

LIMIT_S = 1.0
EXPECTED: dict[str, type[RequestFailed]] = {
    "huge": AnswerTooLarge,
    "endless_header": ProtocolViolated,
    "slow_header": ReadTimedOut,
    "slow_body": ReadTimedOut,
    "bomb": AnswerTooLarge,
    "not_http": ProtocolViolated,
}
MEMORY_MB = 150  # 16 MiB of body, twice while it is joined, and room for the interpreter


def memory_mb(name: str) -> float:
    """Of this process: `VmRSS` now, or `VmHWM`, the most since it was last forgotten."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{name}:"))


@pytest.mark.parametrize("way", WAYS)
def test_no_answer_makes_the_client_wait_or_grow(way: str) -> None:
    # Else a maximum that an earlier test has reached would hide what this one takes.
    Path("/proc/self/clear_refs").write_text("5")
    before_mb = memory_mb("VmRSS")
    with hostile(way) as url, HttpClient(url, timeout_s=LIMIT_S) as client:
        begun = time.monotonic()
        if way in EXPECTED:
            with pytest.raises(EXPECTED[way], match="GET http"):
                client.get("/health")
        else:
            answer = client.get("/health")
            assert answer.status in (200, 302)
            assert isinstance(answer.text, str)
        # Ten times the limit: this is about waiting for ever, not about speed.
        assert time.monotonic() - begun < 10 * LIMIT_S
    assert memory_mb("VmHWM") - before_mb < MEMORY_MB


@pytest.mark.parametrize("way", ["deep_json", "invalid_utf8", "redirect_loop"])
def test_a_body_that_is_no_json_is_named(way: str) -> None:
    with hostile(way) as url, HttpClient(url) as client:
        answer = client.get("/health")
        with pytest.raises(ProtocolViolated, match="not JSON"):
            answer.json()


def test_a_redirect_is_an_answer() -> None:
    with hostile("redirect_loop") as url, HttpClient(url) as client:
        assert client.get("/health").status == 302
