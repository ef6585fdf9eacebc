"""Counts the files that one row and one fault pass through:
`python -m benchmarks.walk [--tree FOLDER] [--list]`.

`--tree` is a checkout of any version of the project (default: this one). A row is followed by a word that
only the target's answer to one request holds, from where the answer is read to the documents: every
file with a function that is given the word, or returns it, in any process of the run. A fault is followed
by the name of its edge in the same way, from the fault to the link program and back off again."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW, EDGE = "walked-row-4711", "walked-4711->mlflow"
LIMIT_S = 300
# Run first in every Python process below: says which files of the package are given or return the word.
HOOK = """
import os, sys, threading
_word, _place, _root = (os.environ["WALK_" + name] for name in ("WORD", "PLACE", "ROOT"))
_seen, _inside = set(), threading.local()

def _holds(value, depth=5):
    kind = type(value)
    if kind is str:
        return _word in value
    if kind is bytes:
        return _word.encode() in value
    if depth == 0 or kind in (int, float, bool, type(None)):
        return False
    if kind is dict or kind.__name__ in ("mappingproxy", "FrozenDict"):
        items = list(value.values())[:300] + list(value.keys())[:300]
    elif isinstance(value, (list, tuple, set, frozenset)):
        items = list(value)[:300]
    elif kind.__module__.startswith("hokusai_"):
        items = list(getattr(value, "__dict__", {}).values())[:100]
        items += [getattr(value, name, None) for name in getattr(kind, "__slots__", ())]
    else:
        return False
    return any(_holds(item, depth - 1) for item in items)

def _watch(frame, event, result):
    if event not in ("call", "return"):
        return
    file = frame.f_code.co_filename
    if not file.startswith(_root) or file in _seen or getattr(_inside, "on", False):
        return
    _inside.on = True
    try:
        given = list(frame.f_locals.values()) if event == "call" else [result]
        if any(_holds(value) for value in given):
            _seen.add(file)
            with open(_place, "a") as found:
                found.write(file[len(_root):].lstrip("/") + chr(10))
    except Exception:
        pass
    finally:
        _inside.on = False

threading.setprofile(_watch)
sys.setprofile(_watch)
"""
TARGET = """name = "walk"
[endpoints]
registry = "{url}"
[limits]
request_s = 5
"""
FAULT = """
import sys
from pydantic import SecretStr
from hokusai_validation.target import read_target
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.chaos.faults.refuse import Refuse
from hokusai_validation.chaos.injection import Injector

target = read_target(sys.argv[1])
with Injector.from_target(target, Secrets(target)) as injector, injector.fault(Refuse(sys.argv[2])):
    pass
"""


def row(tree: Path) -> list[str]:
    """The files that a row passes through."""
    with tempfile.TemporaryDirectory(prefix="walk-") as folder, answering() as url:
        (Path(folder) / "walk.toml").write_text(TARGET.format(url=url), encoding="utf-8")
        words = ("run", "walk.toml", "--phase", "environment")
        return _walked(tree, Path(folder), ROW, "-m", "hokusai_validation.cli", *words)


def fault(tree: Path) -> list[str]:
    """The files that a fault passes through."""
    with tempfile.TemporaryDirectory(prefix="walk-") as folder, answering() as url:
        base = Path(folder)
        upstream = url.removeprefix("http://")
        links = {"name": EDGE, "listen": "127.0.0.1:0", "upstream": upstream, "enabled": True}
        (base / "links.json").write_text(json.dumps([links]), encoding="utf-8")
        hook = _hook(base, tree, EDGE)
        command = [sys.executable, "-m", "hokusai_validation.links"]
        command += ["--api", "127.0.0.1:0", "--config", str(base / "links.json")]
        with subprocess.Popen(
            command, cwd=folder, env=hook, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as program:
            try:
                assert program.stdout is not None
                api = "http://" + program.stdout.readline().split("http://")[-1].split()[0].rstrip("/.,")
                more = f'[links]\nurl = "{api}"\n[links.edges]\n"{EDGE}" = "{EDGE}"\n'
                more += '[[instances]]\nname = "walked-4711"\nurl = "http://127.0.0.1:9"\n'
                more += '[permissions]\nfaults = ["refuse"]\n'
                (base / "walk.toml").write_text(TARGET.format(url=url) + more, encoding="utf-8")
                return _walked(tree, base, EDGE, "-c", FAULT, str(base / "walk.toml"), EDGE)
            finally:
                program.terminate()


@contextmanager
def answering() -> Iterator[str]:
    """A server whose version is the row's word."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = {
                "version": ROW,
                "build_date": "2026-01-01",
                "git_commit": "a" * 40,
                "api_version": "v1",
            }
            body = json.dumps(version if self.path == "/version" else {"detail": "not here"}).encode()
            self.send_response(200 if self.path == "/version" else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _hook(folder: Path, tree: Path, word: str) -> Mapping[str, str]:
    """The environment in which every Python process tells what it sees of a word."""
    (folder / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    # The tests' plugin is named by an entry point, and that of a checkout is not that of what is installed.
    name = "hokusai_validation"
    entry = f"{name}.runner.entry" if (tree / name / "runner").is_dir() else f"{name}.suite.entry"
    info = folder / "hokusai_validation-0.1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hokusai-validation\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\nhokusai-validation = {entry}\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOKUSAI")}
    return {
        **kept,
        "PYTHONPATH": f"{folder}{os.pathsep}{tree}",
        "DAGSTER_HOME": str(folder / "home"),
        "WALK_WORD": word,
        "WALK_PLACE": str(folder / "walked"),
        "WALK_ROOT": str(tree / name),
    }


def _walked(tree: Path, folder: Path, word: str, *words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=_hook(folder, tree, word),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    place = folder / "walked"
    if not place.is_file():
        raise SystemExit(f"Nothing was seen of {word}: {done.stdout[-500:]}{done.stderr[-1500:]}")
    return sorted(set(place.read_text(encoding="utf-8").split()))


def main() -> int:
    """Follow and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tree", type=Path, default=ROOT)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    for what, follow in (("row", row), ("fault", fault)):
        files = follow(options.tree.resolve())
        print(f"one {what}: {len(files)} files")
        if options.list:
            print("\n".join(f"  {each}" for each in files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
