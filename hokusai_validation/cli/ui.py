"""`hokusai-validation ui`: the sandbox up, and Dagster's UI with the run history, on loopback.

One code server a location, started side by side and shared by the webserver and the daemon (`dagster
dev` starts them one after the other).
"""

import contextlib
import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.error import URLError
from urllib.request import urlopen

import click
import yaml

from hokusai_validation.cli import execution, family, sandbox_use
from hokusai_validation.errors import HokusaiError, PortTaken, StackDidNotStart, UsageError
from hokusai_validation.runner.parentage import end_with_parent
from hokusai_validation.store import scratch
from hokusai_validation.store.storage import is_local

if TYPE_CHECKING:
    from dagster import DagsterInstance

HOST = "127.0.0.1"
START_LIMIT_S = 60.0
POLL_S = 0.1


@click.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--no-sandbox", is_flag=True, help="Do not start the sandbox.")
@click.option(
    "--workspace",
    default="workspace.yaml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Which targets to show.",
)
@click.option(
    "--documents-port",
    type=click.IntRange(1, 65535),
    help="Where the reports are served; by default the port behind --port, or any that is free.",
)
def ui(port: int, no_sandbox: bool, workspace: Path, documents_port: int | None) -> int:
    """Show the asset graph, the runs and the checks in a browser, and beside it the reports. Ctrl-C stops
    all that was started.

    There is no login in it: it listens on 127.0.0.1 only."""
    started = time.monotonic()
    locations = _locations(workspace)
    _check_free(port)
    documents = _Documents.at(documents_port, port)
    end_with_parent()
    try:
        with (
            scratch.folder("hokusai-ui-") as folder,
            _servers(locations, port, folder, documents) as servers,
        ):
            stack = contextlib.nullcontext() if no_sandbox else sandbox_use.source("sandbox", click.echo)
            with stack:
                servers.await_ready()
                taken_s = time.monotonic() - started
                click.echo(f"ready after {taken_s:.1f} s: http://{HOST}:{port}  (Ctrl-C ends it)")
                if documents is not None:
                    click.echo(f"reports: {documents.url}")
                servers.wait()
    except KeyboardInterrupt:
        click.echo("stopped")
    return 0


@dataclass(frozen=True)
class _Documents:
    """The reports of this machine, and where they are served."""

    folder: str
    port: int

    @classmethod
    def at(cls, port: int | None, ui_port: int) -> Self | None:
        """At the port that was asked for, else behind the UI's; None where results lie in a bucket.

        Raises PortTaken."""
        from hokusai_validation.resources.injected import ResultsResource

        reports = ResultsResource().store().reports
        if not is_local(reports):
            return None
        if port is not None:
            _check_free(port)
            return cls(str(reports), port)
        try:
            _check_free(ui_port + 1)
            return cls(str(reports), ui_port + 1)
        except (PortTaken, OverflowError):
            with socket.socket() as probe:
                probe.bind((HOST, 0))
                return cls(str(reports), int(probe.getsockname()[1]))

    @property
    def url(self) -> str:
        """Where they are."""
        return f"http://{HOST}:{self.port}/"

    @property
    def command(self) -> list[str]:
        """What serves them."""
        return _python("hokusai_validation.cli.documents", self.folder, str(self.port))


class _Servers:
    """Code servers first, then what talks to them."""

    def __init__(
        self,
        locations: list[dict[str, str]],
        port: int,
        folder: Path,
        log: Path,
        documents: _Documents | None,
    ) -> None:
        self._documents = documents
        self._sockets = [folder / f"{number}.sock" for number in range(len(locations))]
        self._port = port
        self._log = log
        self._families: list[subprocess.Popen[bytes]] = []
        workspace = folder / "workspace.yaml"
        servers = [
            {"grpc_server": {"socket": str(path), "location_name": each["location_name"]}}
            for path, each in zip(self._sockets, locations, strict=True)
        ]
        workspace.write_text(yaml.safe_dump({"load_from": servers}), encoding="utf-8")
        code_servers = [
            _python(
                *("dagster", "code-server", "start", "--log-level", "warning"),
                *("-m", each["module_name"], "-a", each["attribute"], "-s", str(path)),
                *("--location-name", each["location_name"], "-d", str(Path.cwd())),
            )
            for path, each in zip(self._sockets, locations, strict=True)
        ]
        self._start(code_servers)
        self._await(lambda: all(map(_listens, self._sockets)), "The code servers")
        common = ("-w", str(workspace), "--log-level", "warning")
        self._start(
            [
                _python("dagster_webserver", "-h", HOST, "-p", str(port), *common),
                [str(Path(sysconfig.get_path("scripts"), "dagster-daemon")), "run", *common],
                *([] if documents is None else [documents.command]),
            ]
        )

    def await_ready(self) -> None:
        """Until the UI answers.

        Raises StackDidNotStart."""
        self._await(lambda: _answers(self._port), "Dagster's UI")

    def wait(self) -> None:
        """Until one of them ends by itself.

        Raises StackDidNotStart then."""
        while all(each.poll() is None for each in self._families):
            time.sleep(POLL_S)
        raise StackDidNotStart(f"Dagster's servers ended by themselves; their log is {self._log}.")

    def stop(self) -> None:
        """End all of them."""
        for each in reversed(self._families):
            family.stop(each)

    def _start(self, commands: list[list[str]]) -> None:
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        if self._documents is not None:
            from hokusai_validation.assets.metadata import DOCUMENTS_VARIABLE

            inherited.setdefault(DOCUMENTS_VARIABLE, self._documents.url)
        with self._log.open("ab") as log:
            self._families.append(family.start(commands, inherited, log.fileno()))

    def _await(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and all(each.poll() is None for each in self._families):
            if ready():
                return
            time.sleep(POLL_S)
        raise StackDidNotStart(f"{what} did not come up within {START_LIMIT_S:g} s; the log is {self._log}.")


@contextlib.contextmanager
def _servers(
    locations: list[dict[str, str]], port: int, folder: Path, documents: _Documents | None
) -> Iterator[_Servers]:
    with execution.instance() as instance:
        _make_pools_known(instance)
        log = Path(os.environ["DAGSTER_HOME"]) / "ui.log"
    log.unlink(missing_ok=True)
    made = _Servers(locations, port, folder, log, documents)
    try:
        yield made
    finally:
        made.stop()


def _make_pools_known(instance: "DagsterInstance") -> None:
    """Dagster knows a pool, and its limit, from the pool's first use on: of the very first runs of a target two
    would begin at once, and the target's lock would end the second. Of a target that comes while the UI is up
    it still does."""
    from hokusai_validation.assets.resources import identifier
    from hokusai_validation.resources.injected import TargetResource
    from hokusai_validation.target import targets_dir

    for path in sorted(targets_dir().glob("*.toml")):
        with contextlib.suppress(HokusaiError):  # the UI shows a sensor that says what is wrong with it
            pool = identifier(TargetResource(str(path)).name())
            instance.event_log_storage.initialize_concurrency_limit_to_default(pool)


def _python(module: str, *words: str) -> list[str]:
    return [sys.executable, "-m", module, *words]


def _locations(workspace: Path) -> list[dict[str, str]]:
    """The locations of a workspace file: Python modules only.

    Raises UsageError."""
    try:
        values = yaml.safe_load(workspace.read_text(encoding="utf-8"))
        found = [dict(each["python_module"]) for each in values["load_from"]]
        return [{"attribute": "defs", "location_name": each["module_name"], **each} for each in found]
    except OSError as error:
        raise UsageError(
            f"{workspace} can't be read: {error.strerror}; run it in the project's folder, or name another."
        ) from None
    except (yaml.YAMLError, KeyError, TypeError):
        raise UsageError(f"{workspace} must list `python_module` locations under `load_from`.") from None


def _check_free(port: int) -> None:
    """Raises PortTaken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTaken(
                f"Port {port} on {HOST} can't be had: {error.strerror}; choose another with --port."
            ) from None


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://{HOST}:{port}/server_info", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
