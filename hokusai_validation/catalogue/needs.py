"""Whether a target has what a test needs, and the fixed words for it where not.

Used before a test starts (it is then `skipped` with the reason) and by the verdict, which forgives
what a target file declares that it cannot have.
"""

from collections.abc import Callable, Mapping

from hokusai_validation.catalogue import Entry
from hokusai_validation.errors import NotConfigured, NotPermitted
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

Need = tuple[Callable[[Target], object], str]
Unmet = NotConfigured | NotPermitted

PERMISSIONS = frozenset({"faults", "load", "write"})
HEALTHY = "healthy:"
NO_CATALOGUE = "the catalogue does not apply to this target (catalogue = false)"

NEEDS: Mapping[str, Need] = {
    "gateway": (lambda t: t.url, "no gateway endpoint configured"),
    "api": (lambda t: t.endpoints.api, "no api endpoint configured"),
    "registry": (lambda t: t.endpoints.registry, "no registry endpoint configured"),
    "auth_endpoint": (lambda t: t.endpoints.auth, "no auth endpoint configured"),
    "instances": (lambda t: t.instances, "no instances configured"),
    "failpoints": (
        lambda t: any(each.failpoints for each in t.instances),
        "no fail points on this target",
    ),
    "links": (lambda t: t.links, "no links configured"),
    "control": (lambda t: t.control, "no control agent configured"),
    "faults": (lambda t: t.permissions.faults, "faults not permitted on this target"),
    "load": (lambda t: t.permissions.load, "load not permitted on this target"),
    "write": (lambda t: t.permissions.write, "writing not permitted on this target"),
    "breaker": (lambda t: t.breaker, "no breaker source configured"),
    "aws": (lambda t: t.aws, "no AWS configured"),
    "rds": (
        lambda t: t.aws and (t.aws.rds_instance or t.aws.rds_cluster),
        "no `aws.rds_instance` or `rds_cluster` configured",
    ),
    "elasticache": (
        lambda t: (
            t.aws
            and (
                t.aws.elasticache_cluster
                or t.aws.elasticache_replication_group
                or t.aws.elasticache_serverless
            )
        ),
        "no `aws.elasticache_…` configured",
    ),
    "database": (lambda t: t.database, "no database configured"),
    "mlflow": (lambda t: t.mlflow, "no MLflow configured"),
    "mlflow_url": (lambda t: t.mlflow and t.mlflow.url, "MLflow can't be reached directly on this target"),
    "redis": (lambda t: t.redis, "no redis configured"),
    "auth": (lambda t: t.auth, "no auth service configured"),
    "auth_admin": (lambda t: t.auth and t.auth.admin, "no admin of the auth service on this target"),
    "tls": (lambda t: t.tls.served, "there is no TLS on this target (`tls.served = false`)"),
    "key": (lambda t: t.keys.good, "no API key configured"),
}


def missing(entry: Entry, target: Target) -> str | None:
    """Why the target can't have this test run, or None when it can."""
    found = first_unmet(entry, target)
    return None if found is None else str(found)


def first_unmet(entry: Entry, target: Target) -> Unmet | None:
    """The first need that is not met, as the error that says so. A need is a name of `NEEDS`,
    `fault:KIND`, `healthy:ROLE` (looked at when the test begins), or a dotted path in the target file
    that must be set (`aws.rds_instance`)."""
    if not target.catalogue and not entry.generic:
        return NotConfigured(NO_CATALOGUE)
    found = (unmet(need, target) for need in entry.needs)
    return next((each for each in found if each is not None), None)


def relied_on(entry: Entry) -> tuple[Role, ...]:
    """The parts that must be well before the test begins."""
    return tuple(Role(need.removeprefix(HEALTHY)) for need in entry.needs if need.startswith(HEALTHY))


def unmet(need: str, target: Target) -> Unmet | None:
    """Why one need is not met, or None."""
    if need.startswith(HEALTHY):
        return None
    if need in NEEDS:
        test, reason = NEEDS[need]
        if test(target):
            return None
        return NotPermitted(reason) if need in PERMISSIONS else NotConfigured(reason)
    if need.startswith("fault:"):
        kind = need.removeprefix("fault:")
        permitted = any(each.value == kind for each in target.permissions.faults)
        return None if permitted else NotPermitted(f"fault '{kind}' not permitted on this target")
    value: object = target
    for part in need.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return None if value else NotConfigured(f"no `{need}` configured")
