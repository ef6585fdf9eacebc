"""`--expect-commit`: is what is to be validated deployed at all?"""

from hokusai_validation.errors import CommitUnexpected, HokusaiError, UsageError
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

SHORTEST = 7


def expect(target: Target, commit: str) -> None:
    """Compare the commit of `/version` with the expected one; either may be shortened.

    Raises CommitUnexpected, UsageError for what is no commit or a target without gateway,
    RequestFailed when the target can't be asked."""
    if len(commit) < SHORTEST or not all(char in "0123456789abcdef" for char in commit.lower()):
        raise UsageError(f"'{commit}' is no commit: give at least {SHORTEST} hexadecimal digits.")
    if target.url is None:
        raise UsageError(f"Target '{target.name}' has no gateway to ask for its commit.")
    with HttpClient(target.url, tls=target.tls, resolver=Resolver(target.dns.resolver)) as client:
        answer = client.get("/version")
        body = answer.json()
    running = str(body.get("git_commit", "")) if isinstance(body, dict) else ""
    if len(running) >= SHORTEST and same(running, commit):
        return
    since = _since(target) or (str(body.get("build_date", "")) if isinstance(body, dict) else "")
    raise CommitUnexpected(
        f"The fix is not deployed on '{target.name}': running {running[:40] or 'an unknown commit'}"
        f" since {since[:40] or 'an unknown time'}, expected {commit}. Deploy it, then run again."
    )


def same(one: str, other: str) -> bool:
    """Whether two commits are the same, where one may be a beginning of the other."""
    one, other = one.lower(), other.lower()
    return one.startswith(other) or other.startswith(one)


def _since(target: Target) -> str | None:
    """When the API's tasks were deployed, where AWS says."""
    service = target.aws.services.get(target.named(Role.API_GATEWAY)) if target.aws is not None else None
    if service is None:
        return None
    from hokusai_validation.resources.aws.client import Aws

    try:
        aws = Aws.from_target(target, Secrets(target))
        primary = aws.ecs.service(service.service).primary
        return None if primary is None else f"{primary.created_at:%Y-%m-%d %H:%M:%S %Z}"
    except HokusaiError:
        return None
