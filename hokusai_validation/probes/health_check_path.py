"""Whether a target group's health check asks for a path that its targets serve."""

from collections.abc import Iterable

from hokusai_validation.errors import RequestFailed
from hokusai_validation.resources.aws.models import TargetGroup, TargetHealth
from hokusai_validation.resources.http import HttpClient

ASKED = 2  # targets of a group
TIMEOUT_S = 5.0
# What a service of this contract answers without a key: the one that it serves is what should be asked.
PROBES = ("/health", "/live")


def unserved_path(group: TargetGroup, targets: Iterable[TargetHealth]) -> str | None:
    """The sentence that says which path an unhealthy target refuses (a path that is not there is
    answered 404, or 401 where what is unknown needs a key) though it serves a probe; None: the path is
    served, so is no probe, the group has no path, or no target could be asked from here."""
    if not group.health_path or group.protocol not in ("HTTP", "HTTPS"):
        return None
    for each in [target for target in targets if target.state == "unhealthy"][:ASKED]:
        host = f"[{each.id}]" if ":" in each.id else each.id
        base = f"{group.protocol.lower()}://{host}:{each.port or group.port}"
        try:
            with HttpClient(base, timeout_s=TIMEOUT_S) as client:
                status = client.get(group.health_path).status
                served = [path for path in PROBES if client.get(path).status == 200]
        except RequestFailed:
            continue
        if 400 <= status < 500 and served:
            return (
                f"{group.name} asks for {group.health_path}, which its targets answer {status};"
                f" {served[0]} is served"
            )
    return None
