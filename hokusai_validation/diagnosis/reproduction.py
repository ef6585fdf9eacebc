"""Commands that show a finding again, to be pasted into a shell. Secrets are shell variables, and
everything that comes from a target or a row is quoted: what a service says of itself must not run."""

import shlex
from collections.abc import Iterator, Sequence

from hokusai_validation.report import Cause
from hokusai_validation.result import Result
from hokusai_validation.sections import SecretRef
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

TESTS = 3

_LOGIN = frozenset(
    {
        Cause.WRONG_DATABASE_USER,
        Cause.PASSWORD_REFUSED,
        Cause.SECRET_NEWER_THAN_TASKS,
        Cause.DATABASE_PERMISSIONS,
        Cause.DATABASE_SCHEMA,
    }
)
_CONNECTIONS = frozenset({Cause.POOL_EXHAUSTED, Cause.CONNECTION_LEAK, Cause.CONNECTIONS_NEAR_LIMIT})
_DEPLOYED = frozenset(
    {
        Cause.TASK_DEFINITION_OLD,
        Cause.COMMIT_UNEXPECTED,
        Cause.CONFIGURATION_DIFFERS,
        Cause.SERVICE_BELOW_DESIRED,
        Cause.ROLLOUT_FAILED,
        Cause.TASK_RESTARTED,
        Cause.SECRET_NEWER_THAN_TASKS,
        Cause.WRONG_DATABASE_USER,
        Cause.PROCESS_DOWN,
    }
)
_ROUTES = frozenset({Cause.WRONG_TARGET_GROUP, Cause.TARGET_UNHEALTHY, Cause.REDIRECT_DROPS_AUTH})
_CERTIFICATES = frozenset({Cause.CERTIFICATE_EXPIRING, Cause.TLS_FAILED})
_NAMES = frozenset({Cause.NAME_NOT_RESOLVED, Cause.NAME_STALE})


def reproduction(cause: Cause, component: str, rows: Sequence[Result], target: Target) -> tuple[str, ...]:
    """What to run, the most direct first; the tests themselves last."""
    commands = [
        *_aws(cause, component, target),
        *_names(cause, target),
        *_database(cause, component, target),
        *_requests(cause, component, target),
        *_tests(rows, target),
    ]
    return tuple(dict.fromkeys(commands))


def variable(ref: SecretRef | None, default: str) -> str:
    """The shell variable that holds a secret."""
    name = ref.env if ref is not None and ref.env else default
    return name if name.isidentifier() else default


def _aws(cause: Cause, component: str, target: Target) -> Iterator[str]:
    if target.aws is None:
        return
    aws = "aws" + (f" --endpoint-url {_q(target.aws.endpoint_url)}" if target.aws.endpoint_url else "")
    aws += f" --region {_q(target.aws.region)}"
    service = target.aws.services.get(component)
    cluster = _q(target.aws.cluster)
    if cause in _DEPLOYED:
        services = [service] if service else list(target.aws.services.values())[:3]
        for each in services:
            yield (
                f"{aws} ecs describe-services --cluster {cluster} --services {_q(each.service)}"
                " --query 'services[].{desired:desiredCount,running:runningCount,"
                "task:taskDefinition,deployments:deployments,events:events[:5]}'"
            )
    if cause is Cause.SECRET_NEWER_THAN_TASKS and target.aws.database_secret:
        yield (
            f"{aws} secretsmanager describe-secret --secret-id {_q(target.aws.database_secret)}"
            " --query LastChangedDate"
        )
    if cause in _ROUTES:
        for balancer in target.aws.load_balancers[:2]:
            yield f"{aws} elbv2 describe-load-balancers --names {_q(balancer)}"
        if service and service.target_group:
            yield (
                f'{aws} elbv2 describe-target-health --target-group-arn "$({aws} elbv2'
                f" describe-target-groups --names {_q(service.target_group)}"
                " --query 'TargetGroups[0].TargetGroupArn' --output text)\""
            )
    if cause in _NAMES and target.aws.namespace and component in target.aws.discovery_names:
        yield (
            f"{aws} servicediscovery discover-instances --namespace-name {_q(target.aws.namespace)}"
            f" --service-name {_q(target.aws.discovery_names[component])}"
        )
    if target.role(component) is Role.DATABASE and target.aws.rds_instance:
        yield (
            f"{aws} rds describe-db-instances --db-instance-identifier {_q(target.aws.rds_instance)}"
            " --query 'DBInstances[].DBInstanceStatus'"
        )
    if cause is Cause.AWS_CREDENTIALS_REFUSED:
        yield f"{aws} sts get-caller-identity"


def _names(cause: Cause, target: Target) -> Iterator[str]:
    if cause not in _NAMES:
        return
    server = ""
    if target.dns.resolver:
        host, _, port = target.dns.resolver.rpartition(":")
        server = f" @{_q(host or port)}" + (f" -p {_q(port)}" if host else "")
    for name in (*target.dns.private_names, *target.dns.public_names)[:3]:
        yield f"dig +short{server} {_q(name)}"


def _database(cause: Cause, component: str, target: Target) -> Iterator[str]:
    database = target.database
    if database is None or (
        target.role(component) is not Role.DATABASE and cause not in _LOGIN | _CONNECTIONS
    ):
        return
    query = "select current_user"
    if cause in _CONNECTIONS:
        query = (
            "select application_name, usename, state, count(*) from pg_stat_activity"
            " group by 1, 2, 3 order by 4 desc"
        )
    elif cause is Cause.DATABASE_PERMISSIONS:
        query = (
            "select rolname, rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = current_user"
        )
    elif cause is Cause.DATABASE_SCHEMA:
        query = "select version_num from alembic_version"
    address = f"host={database.host} port={database.port} dbname={database.name} user={database.user}"
    password = variable(database.password, "DATABASE_PASSWORD")
    yield (
        f'PGPASSWORD="${password}" psql {_q(f"{address} sslmode={database.sslmode} connect_timeout=5")}'
        f" -c {_q(query)}"
    )


_PATHS = {
    Cause.PROBE_NEEDS_KEY: (("GET", "/health", False), ("GET", "/ready", False)),
    Cause.RESET_WITHOUT_KEY: (("POST", "/health/mlflow/reset", False),),
    Cause.BREAKER_STUCK_OPEN: (("GET", "/health/mlflow", False),),
    Cause.BREAKER_CONTRACT: (("GET", "/health/mlflow", False),),
    Cause.EVENT_LOOP_BLOCKED: (("GET", "/live", False),),
    Cause.HEALTH_ANSWER_WRONG: (("GET", "/health?detailed=true", False),),
    Cause.BAD_INSTANCE: (("GET", "/health?detailed=true", False),),
    Cause.OPTIONAL_REQUIRED: (("GET", "/health", False),),
}


def _requests(cause: Cause, component: str, target: Target) -> Iterator[str]:
    if cause in _CERTIFICATES and target.url:
        yield f"curl -sv --max-time 10 -o /dev/null {_q(target.url)} 2>&1 | grep -iE 'expire|subject|issuer'"
        return
    ca = f" --cacert {_q(str(target.tls.ca_file))}" if target.tls.ca_file else ""
    key = f' -H "Authorization: Bearer ${variable(target.keys.good, "HOKUSAI_API_KEY")}"'
    if target.role(component) is Role.AUTH and (target.auth or target.endpoints.auth):
        base = target.auth.url if target.auth else target.endpoints.auth or ""
        yield f"curl -si --max-time 10{ca} {_q(base.rstrip('/') + '/health')}"
        if target.auth is not None and "key" in cause.value:
            body = '{"service_id": "' + target.auth.service_id + '"}'
            yield (
                f"curl -si --max-time 10{ca} -X POST{key} -H 'Content-Type: application/json'"
                f" -d {_q(body)} {_q(base.rstrip('/') + '/api/v1/keys/validate')}"
            )
        return
    paths = _PATHS.get(cause)
    if paths is None:
        through = target.mlflow.through_gateway if target.mlflow else "/api/mlflow"
        if target.role(component) in (Role.TRACKING_SERVER, Role.ARTIFACT_STORE):
            paths = (
                ("GET", "/health/mlflow", False),
                ("GET", f"{through}/api/2.0/mlflow/experiments/search?max_results=1", True),
            )
        elif "key" in cause.value or cause in (Cause.REDIRECT_DROPS_AUTH, Cause.SECRET_LEAKED):
            paths = (("GET", f"{through}/api/2.0/mlflow/experiments/search?max_results=1", True),)
        else:
            paths = (("GET", "/health?detailed=true", False), ("GET", "/ready", False))
    bases = [instance.url for instance in target.instances] if cause is Cause.BAD_INSTANCE else []
    for base in bases or ([target.url] if target.url else []):
        for method, path, with_key in paths:
            verb = "" if method == "GET" else f" -X {method}"
            yield (f"curl -si --max-time 10{ca}{verb}{key if with_key else ''} {_q(base.rstrip('/') + path)}")


def _tests(rows: Sequence[Result], target: Target) -> Iterator[str]:
    names = list(dict.fromkeys(row.test.rpartition("::")[2].partition("[")[0] for row in rows))[:TESTS]
    if names:
        yield (
            f"pytest --pyargs hokusai_validation.suite --target={_q(target.name)} -k {_q(' or '.join(names))}"
        )


def _q(text: str | None) -> str:
    """Quoted for a shell, on one line."""
    return shlex.quote("".join(char if char.isprintable() else " " for char in text or ""))
