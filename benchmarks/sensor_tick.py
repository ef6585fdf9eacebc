"""How long one tick of the deployment sensor takes over 200 services, of our own time.

    python -m benchmarks.sensor_tick [--services N] [--json]

The stand-in for ECS runs in a process of its own, so that its work does not count as ours.
"""

import json
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import click
import dagster as dg

from hokusai_validation.automation.deployments import after_deployments
from hokusai_validation.resources.injected import TargetResource
from hokusai_validation_tests.automation import ecs


def _serve(folder: Path, services: int, ready: Connection, over: Event) -> None:
    with ecs.running(folder, [f"service-{number:03d}" for number in range(services)]) as stack:
        ready.send(str(stack.target))
        over.wait(300)


@click.command()
@click.option("--services", default=200, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(services: int, as_json: bool) -> None:
    """Print CPU and wall time of a first tick, which fires, and of a second, which does not."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    over = context.Event()
    with tempfile.TemporaryDirectory() as folder, dg.instance_for_test() as instance:
        process = context.Process(target=_serve, args=(Path(folder), services, there, over), daemon=True)
        process.start()
        try:
            if not here.poll(240):
                raise click.ClickException("The stand-in for ECS did not start within 240 s.")
            tick = after_deployments("deployed", TargetResource(here.recv()))
            cursor, rows = None, []
            for name in ("first, fires", "second, nothing new"):
                cpu, wall = time.process_time(), time.monotonic()
                result = tick(dg.build_sensor_context(instance=instance, cursor=cursor))
                assert isinstance(result, dg.SensorResult)
                cursor = result.cursor
                rows.append(
                    {
                        "tick": name,
                        "services": services,
                        "own_cpu_s": round(time.process_time() - cpu, 3),
                        "wall_s": round(time.monotonic() - wall, 3),
                        "runs": len(result.run_requests or []),
                    }
                )
        finally:
            over.set()
            process.join(10)
    if as_json:
        click.echo(json.dumps({"ticks": rows}))
        return
    for row in rows:
        click.echo(
            f"{row['tick']:<20} {row['services']} services: {row['own_cpu_s']:.2f} s own CPU, {row['wall_s']:.2f} s wall, {row['runs']} runs"
        )


if __name__ == "__main__":
    main()
