"""A real nginx on an edge: what a proxy between two parts does to requests."""

import functools
import itertools
import shutil
from pathlib import Path

from hokusai_sandbox.changes import links
from hokusai_sandbox.changes.ground import ChangeFailed, ChangeInvalid, Ground, Undo, Values, text, texts
from hokusai_sandbox.environment import base_environment
from hokusai_sandbox.plan import LOOPBACK
from hokusai_sandbox.ports import Reservations
from hokusai_sandbox.process import Service
from hokusai_sandbox.webclient import accepts

_NUMBERS = itertools.count(1)
# One process, nothing outside its folder, and by default a proxy that nobody notices.
_CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  access_log off; server_tokens off; types {{}} default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_max_body_size 0; keepalive_timeout 75s; proxy_http_version 1.1; proxy_request_buffering off;
  large_client_header_buffers 4 64k;
  {http}
  upstream behind {{ server {upstream} max_fails=0; keepalive 32; }}
  server {{
    listen {listen}; server_name _;
    {server}
    location / {{
      proxy_set_header Host $http_host; proxy_set_header Connection "";
      {location}
      proxy_pass http://behind;
    }}
  }}
}}
"""


async def between(ground: Ground, values: Values) -> Undo:
    """Put an nginx on each of `edges`. `http`, `server` and `location` are lines of its
    configuration for those places; without any it changes nothing.

    Raises ChangeFailed where nginx is not installed."""
    program = shutil.which("nginx")
    if program is None:
        raise ChangeFailed("nginx is not installed (Debian: nginx-light).")
    edges = texts(values, "edges")
    if not edges or any(edge not in ground.plan.edges for edge in edges):
        raise ChangeInvalid(f"`edges` of nginx must be some of {', '.join(ground.plan.edges)}.")
    undo: list[Undo] = []

    async def back() -> None:
        for each in reversed(undo):
            await each()

    try:
        for edge in edges:
            undo += await _on(ground, program, edge, values)
    except BaseException:
        await back()
        raise
    return back


async def _on(ground: Ground, program: str, edge: str, values: Values) -> list[Undo]:
    name = f"nginx-{next(_NUMBERS)}"
    folder = ground.plan.run_folder / name
    folder.mkdir()
    reserved = Reservations([name])
    listen = f"{LOOPBACK}:{reserved.ports[name]}"
    configuration = folder / "nginx.conf"
    lines = {place: text(values, place, "") for place in ("http", "server", "location")}
    upstream = await links.upstream_of(ground, edge)
    configuration.write_text(_CONFIGURATION.format(folder=folder, listen=listen, upstream=upstream, **lines))

    async def end() -> None:
        ground.supervisor.take_out(name)
        reserved.close()

    try:
        await ground.supervisor.take_in(_service(ground, program, name, configuration, listen))
        return [end, await links.lead(ground, (edge,), listen)]
    except BaseException:
        await end()
        raise


def _service(ground: Ground, program: str, name: str, configuration: Path, listen: str) -> Service:
    return Service(
        name=name,
        component="nginx",
        command=(program, "-p", str(configuration.parent), "-e", "stderr", "-c", str(configuration)),
        environment=base_environment(ground.plan.run_folder),
        address=listen,
        ready=functools.partial(accepts, listen),
    )
