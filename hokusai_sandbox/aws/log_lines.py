"""The processes' log files as lines of their log groups, read when somebody asks for them: so what
CloudWatch shows is what the services really wrote, and costs nothing while nobody looks."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

# What one look reads of a file at most, and what a stream keeps.
READ_LIMIT_BYTES = 512 * 1024
KEPT_EVENTS = 5_000
MLFLOW_TIME, MLFLOW_TIME_LENGTH = "%Y/%m/%d %H:%M:%S", 19


class LogFiles:
    """Follows the files of each log group."""

    def __init__(self, backend: Any, files: Mapping[str, Sequence[str]]) -> None:
        self._backend = backend
        self._files = {group: tuple(Path(each) for each in paths) for group, paths in files.items()}
        self._offsets: dict[Path, int] = {}

    def install(self) -> None:
        """Have the files read before every search of the log events."""
        search = self._backend.filter_log_events

        def filter_log_events(log_group_name: str, *values: Any, **named: Any) -> Any:
            for path in self._files.get(log_group_name, ()):
                self._follow(log_group_name, path)
            return search(log_group_name, *values, **named)

        self._backend.filter_log_events = filter_log_events

    def _follow(self, group: str, path: Path) -> None:
        found = self._backend.groups.get(group)
        if found is None or not path.is_file():
            return
        lines = self._new_lines(path)
        if not lines:
            return
        name = f"{path.stem}/{path.stem}/1"
        if name not in found.streams:
            self._backend.create_log_stream(group, name)
        self._backend.put_log_events(group, name, _events(lines))
        stream = found.streams[name]
        stream.events = stream.events[-KEPT_EVENTS:]

    def _new_lines(self, path: Path) -> list[str]:
        size = path.stat().st_size
        offset = self._offsets.get(path, 0)
        if size < offset:  # begun anew
            offset = 0
        offset = max(offset, size - READ_LIMIT_BYTES)
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(size - offset)
        whole = data[: data.rfind(b"\n") + 1]
        self._offsets[path] = offset + len(whole)
        return [line for line in whole.decode("utf-8", errors="replace").splitlines() if line.strip()]


def _events(lines: Sequence[str]) -> list[dict[str, str | int]]:
    """In the order of their times, as CloudWatch demands of one request: several threads write a file,
    and a line that says no time of its own (of a traceback, say) belongs to the one before."""
    events: list[dict[str, str | int]] = []
    at = next(filter(None, map(_written_at, lines)), time.time())
    for line in lines:
        at = _written_at(line) or at
        events.append({"timestamp": int(at * 1000), "message": line})
    return sorted(events, key=lambda event: int(event["timestamp"]))


def _written_at(line: str) -> float | None:
    """The line's own time (epoch seconds): the services' JSON, or as MLflow begins a line."""
    try:
        return datetime.fromisoformat(str(json.loads(line)["time"])).timestamp()
    except (ValueError, KeyError, TypeError):
        pass
    try:
        return datetime.strptime(line[:MLFLOW_TIME_LENGTH], MLFLOW_TIME).astimezone().timestamp()
    except ValueError:
        return None
