"""What the stores say of themselves over the logins that we have: read-only, limits, locks, memory.

Each state is a fact of its own, whether or not the test that asked for it fails: it names a cause
directly where others only see its consequences. No privilege is needed: `pg_locks` and the user and
state of `pg_stat_activity` of the own role are open to everybody (PostgreSQL 18, 53.13 and 27.2), and
of Redis only INFO is asked (ElastiCache forbids CONFIG)."""

import time
from collections.abc import Mapping

from hokusai_validation.errors import RequestFailed
from hokusai_validation.facts import FactKind
from hokusai_validation.resources.database import Database
from hokusai_validation.runner.evidence import Evidence

SHORT_STATEMENT_MS = 1000  # a time-out that ordinary statements of a busy server pass
NEARLY_FULL = 0.9
FULL = 1.05  # of maxmemory: writes are refused, and it does not come below by itself
LOCK_AGAIN_S = 1.0  # a lock that is still held then is no migration's moment

_SETTINGS = (
    "select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',"
    " (select setting::bigint from pg_settings where name = 'statement_timeout')"
)
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
        standby, read_only, timeout_ms = database.query(_SETTINGS)[0]
        held = database.query(_LOCKS)
        if held:
            time.sleep(LOCK_AGAIN_S)
            still = set(database.query(_LOCKS))
            held = [lock for lock in held if lock in still]
    except RequestFailed:
        return  # recorded where it was asked
    if standby or read_only:
        why = "it is a standby" if standby else "default_transaction_read_only is on"
        evidence.fact(FactKind.READ_ONLY, component, why)
    if 0 < timeout_ms <= SHORT_STATEMENT_MS:
        evidence.fact(FactKind.STATEMENT_TIMEOUT, component, f"statement_timeout is {timeout_ms} ms")
    for pid, user, mode, relation in held[:1]:
        seen = f"PID {pid} of {user} holds {mode} on {relation}"
        evidence.fact(FactKind.BLOCKED, component, seen)


def cache_state(info: Mapping[str, str], evidence: Evidence, component: str) -> None:
    """A replica, full, or nearly full."""
    if info.get("role") == "slave":
        evidence.fact(FactKind.REPLICA, component, f"a replica of {info.get('master_host', '?')}")
    used, most = _number(info.get("used_memory")), _number(info.get("maxmemory"))
    if most <= 0 or info.get("maxmemory_policy") != "noeviction":
        return
    seen = f"{used} of {most} bytes (maxmemory) are used, policy noeviction"
    if used > FULL * most:
        evidence.fact(FactKind.STORE_FULL, component, seen)
    elif used >= NEARLY_FULL * most:
        evidence.fact(FactKind.STORE_NEARLY_FULL, component, seen)


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
