"""The database's own state: availability, connections, rights, tables."""

from collections.abc import Iterator

from hokusai_validation.diagnosis.hypothesis import Hypothesis
from hokusai_validation.diagnosis.rules.common import direct
from hokusai_validation.diagnosis.sightings import Case
from hokusai_validation.facts import FactKind
from hokusai_validation.report import Cause


def rule(case: Case) -> Iterator[Hypothesis]:
    """A pool that is empty, connections that are never given back, and a server that has few left
    are three causes: the first two are the client's, the last the server's."""
    yield from direct(
        case,
        {
            FactKind.DATABASE_NOT_AVAILABLE: Cause.DATABASE_NOT_AVAILABLE,
            FactKind.POOL_EXHAUSTED: Cause.POOL_EXHAUSTED,
            FactKind.CONNECTION_LEAK: Cause.CONNECTION_LEAK,
            FactKind.CONNECTIONS_NEAR_LIMIT: Cause.CONNECTIONS_NEAR_LIMIT,
            FactKind.PERMISSION_MISSING: Cause.DATABASE_PERMISSIONS,
            FactKind.SUPERUSER: Cause.DATABASE_PERMISSIONS,
            FactKind.SCHEMA_DIFFERS: Cause.DATABASE_SCHEMA,
        },
    )
