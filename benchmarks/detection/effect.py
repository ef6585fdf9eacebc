"""Whether a fault is really there, seen by a program that imports nothing of the product or of its
sandbox: `python effect.py SANDBOX_DIR [--tries N] OPERATION…` asks each operation N times and prints, as
JSON, the share that went well, the latencies, and what was answered.

It knows the sandbox by its `status.json`, `target.toml` and `secrets.env` alone.
"""

import argparse
import contextlib
import http.client
import json
import socket
import ssl
import struct
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

LIMIT_S = 4.0
HOST = "registry.hokusai.test"
SEARCH = b'{"max_results": 1}'


class Failed(Exception):
    """The operation did not do what its users want of it."""


class Stack:
    """Where the parts are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.status = json.loads((folder / "status.json").read_text())
        self.target = tomllib.loads((folder / "target.toml").read_text())
        lines = (folder / "secrets.env").read_text().splitlines()
        self.secrets = dict(line.split("=", 1) for line in lines)
        self.key = self.secrets["HOKUSAI_SANDBOX_KEY_GOOD"]

    def address(self, name: str) -> tuple[str, int]:
        """Host and port of a process."""
        host, _, port = self.status["services"][name]["address"].rpartition(":")
        return host, int(port)

    def http(
        self,
        name: str,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        host: str = HOST,
        good: tuple[int, ...] = (200,),
        headers: dict[str, str] | None = None,
        key: bool = True,
    ) -> bytes:
        """One request to a process, over TLS to the balancer's HTTPS port."""
        address = self.address(name)
        connection: http.client.HTTPConnection
        if name == "balancer":
            context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
            context.check_hostname = False  # asked by address; the name is checked by `tls`
            connection = http.client.HTTPSConnection(*address, timeout=LIMIT_S, context=context)
        else:
            connection = http.client.HTTPConnection(*address, timeout=LIMIT_S)
        try:
            sent = {"Host": host, "Content-Type": "application/json", **(headers or {})}
            if key:
                sent["Authorization"] = f"Bearer {self.key}"
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status not in good:
                raise Failed(f"{answer.status} {content[:80]!r}")
            return content
        finally:
            connection.close()


def search(stack: Stack) -> str:
    """Read through balancer, API and MLflow."""
    stack.http("balancer", "POST", "/api/mlflow/api/2.0/mlflow/experiments/search", SEARCH)
    return ""


def write(stack: Stack) -> str:
    """Make an experiment through balancer, API and MLflow."""
    name = json.dumps({"name": f"effect-{time.time_ns()}"}).encode()
    stack.http("balancer", "POST", "/api/mlflow/api/2.0/mlflow/experiments/create", name)
    return ""


def run_rows(stack: Stack) -> str:
    """Read MLflow's runs."""
    body = b'{"experiment_ids": ["0"], "max_results": 1}'
    stack.http("mlflow", "POST", "/api/2.0/mlflow/runs/search", body, host="localhost", key=False)
    return ""


def upload(stack: Stack) -> str:
    """Store an artifact of 2 MB through everything."""
    path = f"/api/mlflow/api/2.0/mlflow-artifacts/artifacts/effect/{time.time_ns()}"
    stack.http(
        "balancer", "PUT", path, b"x" * 2_000_000, headers={"Content-Type": "application/octet-stream"}
    )
    return ""


def artifact(stack: Stack) -> str:
    """Store a small artifact through everything."""
    path = f"/api/mlflow/api/2.0/mlflow-artifacts/artifacts/effect/{time.time_ns()}"
    stack.http("balancer", "PUT", path, b"x" * 100, headers={"Content-Type": "application/octet-stream"})
    return ""


def health(stack: Stack) -> str:
    """What the service says of its parts."""
    content = json.loads(stack.http("balancer", "GET", "/health"))
    return json.dumps(content["services"], sort_keys=True)


def live(stack: Stack) -> str:
    """The least, through the balancer."""
    stack.http("balancer", "GET", "/live")
    return ""


def open_path(stack: Stack) -> str:
    """The least, without a key."""
    stack.http("balancer", "GET", "/live", key=False)
    return ""


def _parts(name: str) -> Callable[[Stack], str]:
    def look(stack: Stack) -> str:
        # Else it tells what it last knew of MLflow.
        with contextlib.suppress(Exception):
            stack.http(name, "GET", "/health/mlflow")
        content = json.loads(stack.http(name, "GET", "/health?detailed=true"))
        return json.dumps(content["services"], sort_keys=True)

    return look


def idle(stack: Stack) -> str:
    """Write over a connection of the balancer's that has been idle for a second."""
    write(stack)
    time.sleep(1.0)
    write(stack)
    return ""


def auth(stack: Stack) -> str:
    """A key is checked by the auth service, through the balancer."""
    body = b'{"service_id": "platform"}'
    stack.http("balancer", "POST", "/api/v1/keys/validate", body, host="auth.hokusai.test")
    return ""


def fresh_key(stack: Stack) -> str:
    """The API asks the auth service about a key that it has never seen."""
    headers = {"Authorization": f"Bearer hk_live_{time.time_ns():032x}"}
    stack.http(
        "balancer",
        "POST",
        "/api/mlflow/api/2.0/mlflow/experiments/search",
        SEARCH,
        good=(401,),
        headers=headers,
        key=False,
    )
    return ""


def sql_read(stack: Stack) -> str:
    """Log in to the database as the service does, and read."""
    return _sql(stack, "select count(*) from experiments")


def sql_runs(stack: Stack) -> str:
    """Log in to the database as the service does, and read the table of runs."""
    return _sql(stack, "select count(*) from runs")


def sql_write(stack: Stack) -> str:
    """Log in to the database as the service does, and write (rolled back)."""
    return _sql(stack, "insert into experiment_tags (key, value, experiment_id) values ('effect', 'x', 0)")


def sql_slow(stack: Stack) -> str:
    """Log in to the database as the service does, and take 20 ms."""
    return _sql(stack, "select pg_sleep(0.02)")


def _sql(stack: Stack, statement: str) -> str:
    import psycopg2

    values = stack.target["database"]
    connection = psycopg2.connect(
        host=values["host"],
        port=values["port"],
        dbname=values["name"],
        user=values["user"],
        password=_database_password(stack),
        sslmode="disable",
        connect_timeout=int(LIMIT_S),
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"set lock_timeout = '{int(LIMIT_S * 1000)}ms'")
            cursor.execute(statement)
    finally:
        connection.rollback()
        connection.close()
    return ""


def _database_password(stack: Stack) -> str:
    secret = _aws(stack, "secretsmanager").get_secret_value(
        SecretId=stack.target["aws"]["database_secret"], VersionStage="AWSCURRENT"
    )
    return str(json.loads(secret["SecretString"])["password"])


def redis_set(stack: Stack) -> str:
    """Write to Redis."""
    _redis(stack, "SET", "effect", "x" * 1000)
    return ""


def redis_state(stack: Stack) -> str:
    """How full Redis is, in tenths of its limit."""
    values = dict(line.split(":", 1) for line in _redis(stack, "INFO", "memory").split("\r\n") if ":" in line)
    limit = int(values["maxmemory"])
    return "" if not limit else str(int(10 * int(values["used_memory"]) / limit))


def _redis(stack: Stack, *words: str) -> str:
    """By plain socket: RESP is simple enough."""
    with socket.create_connection(stack.address("redis"), timeout=LIMIT_S) as connection:
        file = connection.makefile("rb")
        answer = ""
        for command in (("AUTH", stack.secrets["HOKUSAI_SANDBOX_REDIS_PASSWORD"]), words):
            parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in command)
            connection.sendall(f"*{len(command)}\r\n{parts}".encode())
            line = file.readline().decode()
            if not line or line.startswith("-"):
                raise Failed(line.strip() or "closed")
            answer = file.read(int(line[1:]) + 2).decode() if line.startswith("$") else line
        return answer


def tls(stack: Stack) -> str:
    """The balancer's certificate, checked as a browser does; the day on which it ends."""
    context = ssl.create_default_context(cafile=str(stack.folder / "ca.pem"))
    with (
        socket.create_connection(stack.address("balancer"), timeout=LIMIT_S) as connection,
        context.wrap_socket(connection, server_hostname=HOST) as wrapped,
    ):
        found = wrapped.getpeercert() or {}
        return str(found.get("notAfter", ""))[:6]


def names(stack: Stack) -> str:
    """The addresses (A) of MLflow's private name."""
    host, _, port = str(stack.target["dns"]["resolver"]).rpartition(":")
    name = next(item for item in stack.target["dns"]["private_names"] if item.startswith("mlflow."))
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    question = struct.pack("!HHHHHH", 7, 256, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.settimeout(LIMIT_S)
        sending.sendto(question, (host, int(port)))
        answer = sending.recv(2048)
    count = struct.unpack("!H", answer[6:8])[0]
    return f"{answer[3] & 15} {count} {answer[-4:].hex() if count else ''}"


def redirect(stack: Stack) -> str:
    """Where plain HTTP is sent."""
    host, _, port = stack.status["http_url"].removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=LIMIT_S)
    try:
        connection.request("GET", "/health", headers={"Host": HOST})
        return str(connection.getresponse().getheader("location"))
    finally:
        connection.close()


def services(stack: Stack) -> str:
    """What ECS says of the API's service and its tasks."""
    client = _aws(stack, "ecs")
    cluster, name = stack.target["aws"]["cluster"], stack.target["aws"]["services"]["api"]["service"]
    found = client.describe_services(cluster=cluster, services=[name])["services"][0]
    stopped = client.list_tasks(cluster=cluster, serviceName=name, desiredStatus="STOPPED")["taskArns"]
    definition = client.describe_task_definition(taskDefinition=found["taskDefinition"])["taskDefinition"]
    declared = sorted(
        f"{item['name']}={item['value']}" for item in definition["containerDefinitions"][0]["environment"]
    )
    rollout = found["deployments"][0].get("rolloutState")
    return f"{rollout} {found['runningCount']} {found['taskDefinition']} {len(stopped)} {declared}"


def targets(stack: Stack) -> str:
    """What the load balancer says of the targets of every group."""
    client = _aws(stack, "elbv2")
    said = []
    for group in client.describe_target_groups()["TargetGroups"]:
        health = client.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
        states = sorted(item["TargetHealth"]["State"] for item in health["TargetHealthDescriptions"])
        said.append(f"{group['TargetGroupName']} {states}")
    return "; ".join(sorted(said))


def check_paths(stack: Stack) -> str:
    """Whether the API serves what the load balancer's health check of it asks."""
    for group in _aws(stack, "elbv2").describe_target_groups()["TargetGroups"]:
        if "api" in group["TargetGroupName"]:
            stack.http("api-1", "GET", group["HealthCheckPath"], good=(200, 503))
    return ""


def rds(stack: Stack) -> str:
    """What RDS says of the database."""
    found = _aws(stack, "rds").describe_db_instances(DBInstanceIdentifier=stack.target["aws"]["rds_instance"])
    return str(found["DBInstances"][0]["DBInstanceStatus"])


def _aws(stack: Stack, service: str):  # type: ignore[no-untyped-def] # boto3 makes its clients while it runs
    import boto3

    return boto3.client(
        service,
        region_name=stack.target["aws"]["region"],
        endpoint_url=stack.target["aws"]["endpoint_url"],
        aws_access_key_id=stack.secrets["HOKUSAI_SANDBOX_AWS_ACCESS_KEY"],
        aws_secret_access_key=stack.secrets["HOKUSAI_SANDBOX_AWS_SECRET_KEY"],
    )


def _version(name: str) -> Callable[[Stack], str]:
    def look(stack: Stack) -> str:
        return str(json.loads(stack.http(name, "GET", "/version"))["git_commit"])

    return look


OPERATIONS: dict[str, Callable[[Stack], str]] = {
    **{
        item.__name__: item
        for item in (search, write, run_rows, upload, artifact, health, live, idle, auth, fresh_key)
    },
    "open": open_path,
    **{item.__name__: item for item in (sql_read, sql_runs, sql_write, sql_slow, redis_set, redis_state)},
    **{item.__name__: item for item in (tls, names, redirect, services, targets, check_paths, rds)},
    **{f"parts@{name}": _parts(name) for name in ("api-1", "api-2")},
    **{f"version@{name}": _version(name) for name in ("api-1", "api-2")},
}
ONCE = frozenset(
    {"idle", "services", "targets", "check_paths", "rds"}
)  # slow ones: asked three times at most


def measure(stack: Stack, name: str, tries: int) -> dict[str, object]:
    """Ask one operation again and again."""
    good, latencies, said, errors = 0, [], set(), set()
    tries = min(tries, 3) if name in ONCE else tries
    for _ in range(tries):
        began = time.perf_counter()
        try:
            said.add(OPERATIONS[name](stack))
            good += 1
        except Exception as error:  # whatever it is, the operation failed
            errors.add(f"{type(error).__name__}: {error}"[:120])
        latencies.append((time.perf_counter() - began) * 1000)
        if latencies[-1] > LIMIT_S * 500 and len(latencies) > 2:
            break  # hangs: seen often enough
    return {
        "tries": len(latencies),
        "good": good,
        "latencies_ms": [round(value, 1) for value in latencies],
        "said": sorted(said),
        "errors": sorted(errors),
    }


def main() -> int:
    """Print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("operation", nargs="+", choices=sorted(OPERATIONS))
    parser.add_argument("--tries", type=int, default=8)
    asked = parser.parse_args()
    stack = Stack(asked.folder)
    print(json.dumps({name: measure(stack, name, asked.tries) for name in asked.operation}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
