"""What the services write is what the stand-in for CloudWatch Logs answers."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moto.logs.models import LogsBackend

from hokusai_sandbox.aws.log_lines import LogFiles

GROUP = "/ecs/api"


def messages(backend: Any) -> list[str]:
    events = backend.filter_log_events(GROUP, [], None, None, None, None, "", False)[0]
    return [event["message"] for event in events]


def test_lines_of_several_threads_and_tracebacks_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    file = tmp_path / "api.log"
    now = datetime.now(UTC)
    lines = [
        json.dumps({"time": now.isoformat(), "message": "second"}),
        "Traceback (most recent call last):",
        json.dumps({"time": (now - timedelta(seconds=1)).isoformat(), "message": "first"}),
        "  of the first",
    ]
    file.write_text("\n".join(lines) + "\n")
    backend = LogsBackend("us-east-1", "123456789012")
    backend.create_log_group(GROUP, {})
    LogFiles(backend, {GROUP: [str(file)]}).install()
    assert messages(backend) == [lines[2], lines[3], lines[0], lines[1]]
