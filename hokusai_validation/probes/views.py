"""Taking the three views of each component; `three_views` compares them."""

from collections.abc import Callable, Mapping

from pydantic import JsonValue

from hokusai_validation.errors import AwsError, AwsNotFound, HokusaiError
from hokusai_validation.probes.target_groups import serving_groups
from hokusai_validation.probes.three_views import SAID, View, Views
from hokusai_validation.redaction import shown
from hokusai_validation.resources.aws import states
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.states import Works
from hokusai_validation.resources.database import Database
from hokusai_validation.resources.http import HttpClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.redis import Redis
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target
from hokusai_validation.topology import Role, word_for

Taken = tuple[View, str]
TIMEOUT_S = 5.0


def take(
    target: Target, secrets: Secrets, health: Mapping[str, JsonValue], aws: Aws | None
) -> tuple[Views, ...]:
    """The views of every component that at least two can be had of. `health` is the answer of
    `GET /health` that they are compared with."""
    services = health.get("services")
    said = services if isinstance(services, dict) else {}
    found = []
    for role in _LOOK:
        values: dict[str, str | View] = {"component": target.named(role)}
        word = str(said.get(word_for(role), ""))
        if word in SAID:
            values |= {"said": SAID[word], "said_text": word}
        seen = _seen(role, target, secrets)
        if seen is not None:
            values |= {"seen": seen[0], "seen_text": seen[1]}
        told = None if aws is None else _told_by_aws(role, target, aws)
        if told is not None:
            values |= {"aws": told[0], "aws_text": told[1]}
        found.append(Views.model_validate(values))
    return tuple(found)


def _seen(role: Role, target: Target, secrets: Secrets) -> Taken | None:
    ask = _LOOK[role](target, secrets)
    if ask is None:
        return None
    try:
        return ask()
    except HokusaiError as error:
        return View.DOWN, shown(error, 160)


def _http(url: str, target: Target) -> Taken:
    with HttpClient(
        url, tls=target.tls, resolver=Resolver(target.dns.resolver), timeout_s=TIMEOUT_S
    ) as client:
        answer = client.get("/live" if url in {each.url for each in target.instances} else "/health")
    return (View.UP if answer.status < 500 else View.DOWN), f"{answer.status}"


def _look_api(target: Target, secrets: Secrets) -> Callable[[], Taken] | None:
    if not target.instances:
        return None

    def ask() -> Taken:
        views: list[Taken] = []
        for each in target.instances:
            try:
                views.append(_http(each.url, target))
            except HokusaiError as error:
                views.append((View.DOWN, shown(error, 80)))
        up = sum(view is View.UP for view, _ in views)
        whole = View.UP if up == len(views) else View.IMPAIRED if up else View.DOWN
        return whole, f"{up} of {len(views)} instances alive"

    return ask


def _look_auth(target: Target, secrets: Secrets) -> Callable[[], Taken] | None:
    url = target.auth.url if target.auth is not None else target.endpoints.auth
    return None if url is None else (lambda: _http(url, target))


def _look_mlflow(target: Target, secrets: Secrets) -> Callable[[], Taken] | None:
    url = target.mlflow.url if target.mlflow is not None else None
    return None if url is None else (lambda: _http(url, target))


def _look_postgres(target: Target, secrets: Secrets) -> Callable[[], Taken] | None:
    if target.database is None:
        return None

    def ask() -> Taken:
        Database.from_target(target, secrets).query("select 1")
        return View.UP, "select 1"

    return ask


def _look_redis(target: Target, secrets: Secrets) -> Callable[[], Taken] | None:
    if target.redis is None:
        return None

    def ask() -> Taken:
        redis = Redis.from_target(target, secrets)
        try:
            return (View.UP, "PONG") if redis.ping() else (View.DOWN, "no PONG")
        finally:
            redis.close()

    return ask


_LOOK: Mapping[Role, Callable[[Target, Secrets], Callable[[], Taken] | None]] = {
    Role.API_GATEWAY: _look_api,
    Role.AUTH: _look_auth,
    Role.TRACKING_SERVER: _look_mlflow,
    Role.DATABASE: _look_postgres,
    Role.CACHE: _look_redis,
}


def _told_by_aws(role: Role, target: Target, aws: Aws) -> Taken | None:
    settings = target.aws
    assert settings is not None
    try:
        component = target.named(role)
        if component in settings.services:
            return _told_by_ecs(component, target, aws)
        if role is Role.DATABASE and (settings.rds_instance or settings.rds_cluster):
            instance = aws.data.database_server(settings)
            return _by_state(states.rds(instance.status), f"RDS {instance.status}")
        if role is Role.CACHE and (
            settings.elasticache_cluster
            or settings.elasticache_replication_group
            or settings.elasticache_serverless
        ):
            cluster = aws.data.cache(settings)
            return _by_state(states.cache(cluster.status), f"ElastiCache {cluster.status}")
    except AwsNotFound as error:
        return View.DOWN, shown(error, 120)
    except AwsError:
        return None  # what may not be looked at is no view
    return None


def _by_state(works: Works, text: str) -> Taken | None:
    """A state that does not tell is no view."""
    if works is Works.UNTOLD:
        return None
    return (View.UP if works is Works.YES else View.DOWN), text


def _told_by_ecs(component: str, target: Target, aws: Aws) -> Taken:
    assert target.aws is not None
    declared = target.aws.services[component]
    state = aws.ecs.service(declared.service)
    parts = [f"{state.running} of {state.desired} tasks"]
    views = [View.UP if state.running >= state.desired else View.IMPAIRED if state.running else View.DOWN]
    if declared.target_group is not None:
        own = target.aws.model_copy(update={"services": {component: declared}})
        groups = serving_groups(own, aws)[component]
        health = states.targets({group.name: aws.balancing.target_health(group) for group in groups})
        parts.append(str(health))
        if health.works is not Works.UNTOLD:
            whole = health.works is Works.YES and not health.waiting
            views.append(View.UP if whole else View.IMPAIRED if health.serving else View.DOWN)
    worst = next(view for view in (View.DOWN, View.IMPAIRED, View.UP) if view in views)
    return worst, ", ".join(parts)
