"""The keys and what is known of them, in SQLite. Keys themselves are kept as SHA-256 only."""

import hashlib
import json
import secrets
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from hokusai_sandbox.auth_service.settings import KeyKind, SeedKey

WINDOW_S = 3600
DEFAULT_LIMITS = {KeyKind.LIMITED: 5}
DEFAULT_LIMIT = 1_000_000

_TABLE = """
create table if not exists keys (
  digest text primary key, key_id text unique not null, kind text not null, user_id text not null,
  scopes text not null, rate_limit integer not null, expires_at real, revoked_at real,
  window integer not null default 0, used integer not null default 0
)
"""


@dataclass(frozen=True)
class KeyRow:
    """One key. Times are epoch seconds."""

    key_id: str
    user_id: str
    scopes: tuple[str, ...]
    rate_limit_per_hour: int
    expires_at: float | None
    revoked_at: float | None

    def refused_because(self, now: float) -> str | None:
        """Why the key is not valid; None when it is."""
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return None


class Store:
    """Every call is a few microseconds, so the event loop may make it itself."""

    def __init__(self, path: Path | None) -> None:
        self._db = sqlite3.connect(
            str(path) if path is not None else ":memory:", isolation_level=None, check_same_thread=False
        )
        self._db.execute("pragma synchronous = off")
        self._db.execute(_TABLE)
        if path is not None:
            path.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def seed(self, keys: tuple[SeedKey, ...]) -> None:
        """Add the keys that are not there yet; what became of the others since is kept."""
        for item in keys:
            self._insert(item.key.get_secret_value(), item)

    def make(self, kind: KeyKind, rate_limit_per_hour: int | None) -> tuple[str, str]:
        """A new key: the key itself, which is not kept, and its id."""
        key = f"hk_{kind.value}_{secrets.token_urlsafe(24)}"
        item = SeedKey(key=SecretStr(key), kind=kind, rate_limit_per_hour=rate_limit_per_hour)
        return key, self._insert(key, item)

    def find(self, key: str) -> KeyRow | None:
        """What is known of a key."""
        row = self._db.execute(
            "select key_id, user_id, scopes, rate_limit, expires_at, revoked_at from keys where digest = ?",
            (_digest(key),),
        ).fetchone()
        if row is None:
            return None
        return KeyRow(row[0], row[1], tuple(json.loads(row[2])), row[3], row[4], row[5])

    def revoke(self, key_id: str) -> bool:
        """From now on the key is refused; False when there is none of that id."""
        changed = self._db.execute("update keys set revoked_at = ? where key_id = ?", (time.time(), key_id))
        return changed.rowcount > 0

    def count(self, key_id: str) -> tuple[int, int]:
        """One more validation in this hour: how many now, and when the hour ends."""
        window = int(time.time()) // WINDOW_S
        row = self._db.execute(
            "update keys set used = case when window = ?1 then used + 1 else 1 end, window = ?1"
            " where key_id = ?2 returning used",
            (window, key_id),
        ).fetchone()
        return (row[0] if row is not None else 0), (window + 1) * WINDOW_S

    def known(self, key_id: str) -> bool:
        """Whether there is a key of that id."""
        return self._db.execute("select 1 from keys where key_id = ?", (key_id,)).fetchone() is not None

    def _insert(self, key: str, item: SeedKey) -> str:
        now = time.time()
        key_id = item.key_id or f"key_{_digest(key)[:16]}"
        limit = item.rate_limit_per_hour
        self._db.execute(
            "insert or ignore into keys (digest, key_id, kind, user_id, scopes, rate_limit, expires_at,"
            " revoked_at) values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                _digest(key),
                key_id,
                item.kind.value,
                item.user_id,
                json.dumps(item.scopes),
                DEFAULT_LIMITS.get(item.kind, DEFAULT_LIMIT) if limit is None else limit,
                now - 3600 if item.kind is KeyKind.EXPIRED else None,
                now if item.kind is KeyKind.REVOKED else None,
            ),
        )
        return key_id


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
