"""Dagster's SQLite event log with its engines and connections kept.

A run of all phases stores some six hundred events. Dagster makes an SQLAlchemy engine for each access,
so every statement is compiled anew, and closes its connection behind it: the last one that closes copies
SQLite's write-ahead log into the file. Commits are made sure of at such copies (`synchronous = NORMAL`): when the
power fails the newest events may be missing, and the file is whole. 762 events of 250 checks took 7.0 s of the
processor and 68–80 s on a busy disk with connections that are closed, 3.3–3.8 s and 20–25 s with kept ones (two
pairs, side by side, 2 cores). The files are the same ones, and are read
by Dagster's own class as well. `dagster.yaml` names this class.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dagster import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.event import listen
from sqlalchemy.pool import QueuePool

ENGINES = 64  # one a run and one for all of them; the oldest make room
BUSY_TIMEOUT_S = 60
FOLDER = Path("history", "runs")  # below DAGSTER_HOME, where Dagster's own class has them


class KeptSqliteEventLog(SqliteEventLogStorage):
    """The same storage. `base_dir` in its configuration is DAGSTER_HOME."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._files: dict[str, int | None] = {}
        self._has_checks: bool | None = None
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "KeptSqliteEventLog":
        """Made by Dagster from `dagster.yaml`."""
        return cls(str(Path(config_value["base_dir"]) / FOLDER), inst_data)

    @property
    def supports_asset_checks(self) -> bool:
        """Asked of the file once, and not before each event."""
        if not self._has_checks:
            self._has_checks = bool(super().supports_asset_checks)
        return self._has_checks

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            self._forget_if_replaced(shard)
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def store_event(self, event: EventLogEntry) -> None:
        """Store it. Whoever follows a run watches its file, which a commit alone leaves untouched."""
        super().store_event(event)
        with suppress(FileNotFoundError):
            os.utime(self.path_for_shard(event.run_id))

    def wipe(self) -> None:
        """Remove the files; who kept them open lets go."""
        self._let_go()
        super().wipe()

    def dispose(self) -> None:
        """Close what was kept."""
        self._let_go()
        super().dispose()

    def _let_go(self) -> None:
        with self._db_lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()
            self._files.clear()

    def _forget_if_replaced(self, shard: str) -> None:
        """Another process may have removed the file that is kept open."""
        if shard in self._engines and self._files.get(shard) != self._file(shard):
            self._engines.pop(shard).dispose()
            self._initialized_dbs.discard(shard)
            self._files.pop(shard, None)

    def _file(self, shard: str) -> int | None:
        try:
            return os.stat(self.path_for_shard(shard)).st_ino
        except FileNotFoundError:
            return None

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            while len(self._engines) >= ENGINES:
                oldest = next(iter(self._engines))
                self._engines.pop(oldest).dispose()
                self._files.pop(oldest, None)
            made = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
            )
            listen(made, "connect", _set_up)
            with made.connect():
                self._engines[shard], self._files[shard] = made, self._file(shard)
        return self._engines[shard]


def _set_up(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
