"""What the stores say of themselves over the logins that we have: read-only, limits, locks, memory.

Each state is a fact of its own, whether or not the test that asked for it fails: it names a cause
directly where others only see its consequences. No privilege is needed: `pg_locks` and the user and
state of `pg_stat_activity` of the own role are open to everybody (PostgreSQL 18, 53.13 and 27.2), and
of Redis only INFO is asked (ElastiCache forbids CONFIG)."""

import time
from collections.abc import Mapping

from hokusai_validation.errors import RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass
from hokusai_validation.resources import recording
from hokusai_validation.resources.database import Database
from hokusai_validation.runner.evidence import Evidence

SHORT_STATEMENT_MS = 1000  # a time-out that ordinary statements of a busy server pass
NEARLY_FULL = 0.9
FULL = 1.05  # of maxmemory: writes are refused, and it does not come below by itself
LOCK_AGAIN_S = 1.0  # a lock that is still held then is no migration's moment

_SETTINGS = "select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
# What others get by default: our own sessions bring a time-out of theirs (PostgreSQL 18, 52.15; zero
# stands for every role, or every database).
_DEFAULTS = (
    "select unnest(setconfig) from pg_db_role_setting"
    " where setrole in (0, (select oid from pg_roles where rolname = current_user))"
    " and setdatabase in (0, (select oid from pg_database where datname = current_database()))"
)
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1_000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_LOCKS = (
    "select l.pid, coalesce(a.usename, '?'), l.mode, c.relname from pg_locks l"
    " join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace"
    " left join pg_stat_activity a on a.pid = l.pid"
    " where l.granted and l.mode in ('AccessExclusiveLock', 'ExclusiveLock')"
    " and l.pid <> pg_backend_pid() and c.relkind in ('r', 'p') and n.nspname !~ '^pg_'"
    " and l.database = (select oid from pg_database where datname = current_database())"
    " order by 1, 4 limit 5"
)


def database_state(database: Database, evidence: Evidence, component: str) -> None:
    """Read-only, a short statement time-out, tables locked by another session."""
    try:
        standby, read_only = database.query(_SETTINGS)[0]
        defaults = dict(str(row[0]).partition("=")[::2] for row in database.query(_DEFAULTS))
        held = database.query(_LOCKS)
        if held:
            time.sleep(LOCK_AGAIN_S)
            still = set(database.query(_LOCKS))
            held = [lock for lock in held if lock in still]
    except RequestFailed:
        return  # recorded where it was asked
    code = "pg_is_in_recovery" if standby else "default_transaction_read_only"
    _note("database", code, ErrorClass.READ_ONLY if standby or read_only else None)
    if standby or read_only:
        why = "it is a standby" if standby else "default_transaction_read_only is on"
        evidence.fact(FactKind.READ_ONLY, component, why)
    timeout_ms = milliseconds(defaults.get("statement_timeout", ""))
    if timeout_ms:
        short = timeout_ms <= SHORT_STATEMENT_MS
        kind = ErrorClass.STATEMENT_TIMEOUT if short else None
        _note("database", "statement_timeout", kind, limit_ms=timeout_ms)
        if short:
            seen = f"statement_timeout is {timeout_ms:g} ms"
            evidence.fact(FactKind.STATEMENT_TIMEOUT, component, seen)
    if not held:
        _note("database", "AccessExclusiveLock", None)
    for pid, user, mode, relation in held[:1]:
        seen = f"PID {pid} of {user} holds {mode} on {relation}"
        evidence.fact(FactKind.BLOCKED, component, seen)
        _note("database", mode, ErrorClass.BLOCKED, pid=pid)


def milliseconds(value: str) -> float | None:
    """A duration as PostgreSQL's settings write it (`4ms`, `1min`; no unit: ms); None for another."""
    digits = value.strip().rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = value.strip()[len(digits) :].strip() or "ms"
    try:
        return float(digits) * _UNITS_MS[unit]
    except (ValueError, KeyError):
        return None


def _note(role: str, code: str, error_class: ErrorClass | None, **numbers: float) -> None:
    system = "postgresql" if role == "database" else "redis"
    recording.state(role, code, system=system, error_class=error_class, **numbers)


def cache_state(info: Mapping[str, str], evidence: Evidence, component: str) -> None:
    """A replica, full, or nearly full."""
    replica = info.get("role") == "slave"
    if "role" in info:
        _note("cache", "role", ErrorClass.REPLICA if replica else None)
    if replica:
        evidence.fact(FactKind.REPLICA, component, f"a replica of {info.get('master_host', '?')}")
    used, most = _number(info.get("used_memory")), _number(info.get("maxmemory"))
    if most <= 0 or info.get("maxmemory_policy") != "noeviction":
        return
    full = ErrorClass.OUT_OF_MEMORY if used > FULL * most else None
    _note("cache", "maxmemory", full, used_bytes=used, most_bytes=most)
    seen = f"{used} of {most} bytes (maxmemory) are used, policy noeviction"
    if used > FULL * most:
        evidence.fact(FactKind.STORE_FULL, component, seen)
    elif used >= NEARLY_FULL * most:
        evidence.fact(FactKind.STORE_NEARLY_FULL, component, seen)


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
