"""The sandbox that a draw is put on: started, changed, changed back, and used again while it is well."""

import json
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.detection import measured
from benchmarks.detection.model import Draw, Fault
from hokusai_sandbox.asking import ask
from hokusai_sandbox.stack import Stack
from hokusai_sandbox.target_file import to_toml

CHANGE_LIMIT_S = 90.0
WELL_LIMIT_S = 30.0
CHECKED = ("search", "write", "artifact", "parts@api-1", "parts@api-2", "sql_write", "redis_set", "fresh_key")


class Stage:
    """One sandbox at a time. As a context manager it is ended with the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack: Stack | None = None
        self._scenario: str | None = None
        self._clean: dict[str, measured.Seen] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Take the sandbox down."""
        if self._stack is not None:
            self._stack.stop()
            self._stack = None

    def ready(self, scenario: str | None) -> Path:
        """A sandbox of this scenario that is up; the one before where it is well. Its folder."""
        if self._stack is None or scenario is not None or self._scenario is not None or not self.well():
            self.end()
            self._stack = Stack.start(self.folder, scenario)
            self._scenario = scenario
        return self._stack.directory

    def well(self) -> bool:
        """Whether all that users do works, soon after everything was changed back."""
        deadline = time.monotonic() + WELL_LIMIT_S
        while time.monotonic() < deadline:
            try:
                seen = measured.measure(self.folder, CHECKED, tries=2)
            except (RuntimeError, OSError):
                return False
            states = (*seen["parts@api-1"].said, *seen["parts@api-2"].said)
            bad = [
                state for state in states if "unhealthy" in state or "degraded" in state or "recover" in state
            ]
            if all(item.good == item.tries for item in seen.values()) and not bad:
                return True
            time.sleep(1.0)
        return False

    def target(self, draw: Draw) -> Path:
        """The target file for a draw; blind ones tell no instance apart."""
        path = self.folder / "target.toml"
        if not draw.blind:
            return path
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        names = {each["name"] for each in values.pop("instances", ())}
        links = values.get("links", {})
        links["edges"] = {
            edge: name for edge, name in links.get("edges", {}).items() if not names & set(edge.split("->"))
        }
        values["endpoints"].pop("instance_header", None)
        blind = self.folder / "target-blind.toml"
        blind.write_text(to_toml(values), encoding="utf-8")
        return blind

    @contextmanager
    def changed(self, changes: Sequence[Mapping[str, object]]) -> Iterator[None]:
        """Make changes, and take them back at the end whatever happens, the newest first."""
        with ExitStack() as undo:
            for change in changes:
                found = self._control("POST", "/changes", dict(change))["id"]
                undo.callback(self._control, "DELETE", f"/changes/{found}")
            yield

    def for_a_while(self, fault: Fault, on: threading.Event, over: threading.Event) -> None:
        """Put a fault on for its time (in a thread of its own); `over` ends it early."""
        if over.wait(fault.start_s):
            return
        with self.changed(fault.changes):
            on.set()
            over.wait(fault.length_s)

    def _control(self, method: str, path: str, value: object = None) -> Any:
        address = json.loads((self.folder / "status.json").read_text())["supervisor"]["address"]
        return ask(self.folder, address, method, path, value, timeout_s=CHANGE_LIMIT_S)
