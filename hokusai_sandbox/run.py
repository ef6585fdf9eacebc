"""One sandbox from start to end, in the supervisor's process."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hokusai_sandbox import certificates, postgres
from hokusai_sandbox.changes import Applied, Ground
from hokusai_sandbox.control import Control
from hokusai_sandbox.plan import EDGES, LOOPBACK, PORT_NAMES, Plan, Secrets
from hokusai_sandbox.ports import Reservations
from hokusai_sandbox.scenarios import Scenario, find
from hokusai_sandbox.services import all_services
from hokusai_sandbox.supervisor import Supervisor, write_json
from hokusai_sandbox.target_file import write_secrets, write_target
from hokusai_sandbox.webserver import serve
from hokusai_validation.errors import StackDidNotStart

ALL = ("postgres", "redis", "mlflow", "auth", "api-1", "api-2", "balancer", "links", "dns", "aws")
HEALTHY_LIMIT_S = 20.0
DEFECT_LIMIT_S = 4.0  # with a defect the stack may never be healthy


@dataclass(frozen=True)
class Wanted:
    """What was asked for: a scenario, fixed ports by name, and (none: all) the only processes to start."""

    scenario: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    only: frozenset[str] = frozenset()


async def run(
    directory: Path,
    run_folder: Path,
    wanted: Wanted,
    say: Callable[..., None],
    close: Callable[[], None],
) -> int:
    """Bring the stack up, say so, and keep it up until SIGTERM or SIGINT.

    Raises StackDidNotStart, PortTaken, ScenarioNotFound."""
    began = time.time()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    scenario = find(wanted.scenario)
    names = [*PORT_NAMES, *(f"link {edge}" for edge in EDGES)]
    with Reservations(names, wanted.ports) as reserved:
        plan = Plan(
            directory=directory,
            run_folder=run_folder,
            ports={name: reserved.ports[name] for name in PORT_NAMES},
            edges={edge: reserved.ports[f"link {edge}"] for edge in EDGES},
            secrets=Secrets(),
            scenario=wanted.scenario,
        )
        plan.logs.mkdir(exist_ok=True)
        for name in ALL:
            plan.log(name).unlink(missing_ok=True)
        supervisor = Supervisor(plan)
        made = certificates.make(days=scenario.certificate_days)
        applied = Applied(Ground(supervisor, made))
        starting = asyncio.create_task(_start(plan, scenario, wanted, began, say, supervisor, made, applied))
        ending = asyncio.create_task(end.wait())
        await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not starting.done():
                starting.cancel()
                return 0
            starting.result()
            control = Control(supervisor, applied)
            server = await serve(LOOPBACK, plan.ports["control"], control.handle)
            status = describe(plan, supervisor, began)
            write_json(directory / "status.json", status)
            say(ready=True, status=status)
            close()
            await end.wait()
            await server.cleanup()
            control.leases.end_all()
        finally:
            ending.cancel()
            await supervisor.stop()
    return 0


async def _start(
    plan: Plan,
    scenario: Scenario,
    wanted: Wanted,
    began: float,
    say: Callable[..., None],
    supervisor: Supervisor,
    made: certificates.Certificates,
    applied: Applied,
) -> None:
    programs = postgres.programs()
    # The template first: without it MLflow would have to make its tables while it starts.
    postgres.template_folder(
        programs, plan.run_folder, on_build=lambda: say(step="database template (first start)")
    )
    (plan.directory / "ca.pem").write_text(made.authority)
    services = all_services(plan, scenario, made, programs, began)
    services = {name: item for name, item in services.items() if not wanted.only or name in wanted.only}
    supervisor.manage(services, made)
    for name, service in services.items():
        if name != "postgres" and not service.after:
            supervisor.launch(name)
    if "postgres" in services:
        # In this thread, with the loop standing still: the supervisor takes in every child that
        # ends, and must not take in these.
        postgres.prepare(
            plan.run_folder / "postgres",
            programs,
            superuser_password=plan.secrets.postgres,
            mlflow_password=plan.secrets.mlflow_database,
        )
        supervisor.launch("postgres")
    write_secrets(plan)
    await supervisor.up(lambda name: say(ready_process=name))
    write_target(plan, scenario)
    # Only now: what needs a part to come up has come up, as in life, where a way is cut while all runs.
    for change in scenario.changes:
        await applied.put(change)
    if wanted.only:
        return
    clean = scenario.name == "clean"
    health = await supervisor.healthy(HEALTHY_LIMIT_S if clean else DEFECT_LIMIT_S, needed=clean)
    if clean and health.get("status") != "healthy":
        raise StackDidNotStart(
            f"The sandbox's /health says {health.get('status')} after {HEALTHY_LIMIT_S:g} s"
            f" ({health.get('services')}): see the logs in {plan.logs}."
        )


def describe(plan: Plan, supervisor: Supervisor, began: float) -> dict[str, object]:
    """What `sandbox status --json` prints, as far as it does not change."""
    services = {
        name: {
            "component": process.service.component,
            "address": process.service.address,
            "pid": process.pid,
        }
        for name, process in supervisor.processes.items()
    }
    return {
        "up": True,
        "url": f"https://{plan.address('balancer-https')}",
        "http_url": plan.url("balancer-http"),
        "scenario": plan.scenario,
        "target": str(plan.directory / "target.toml"),
        "ca_file": str(plan.directory / "ca.pem"),
        "logs": str(plan.logs),
        "supervisor": {"pid": os.getpid(), "address": plan.address("control")},
        "run_folder": str(plan.run_folder),
        "started_at": began,
        "start_s": round(time.time() - began, 3),
        "ready_s": supervisor.timings,
        "services": services,
        "links": {edge: f"{LOOPBACK}:{port}" for edge, port in plan.edges.items()},
    }
