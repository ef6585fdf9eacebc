"""Nothing but a target's defaults knows the stack's parts by name: code asks for the role."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import hokusai_validation
from hokusai_validation.catalogue import entries
from hokusai_validation.topology import DEFAULT_TOPOLOGY, Role

PRODUCT = Path(hokusai_validation.__file__).parent
EDGE = re.compile(r"[\w-]*->[\w-]+")
NAMES = set(DEFAULT_TOPOLOGY) - {role.value for role in Role} | {"auth", "load_balancer"}

# Where such a word is no name of a part: what it is there, and the words.
ALLOWED: Mapping[str, tuple[str, set[str]]] = {
    "topology.py": ("the default topology itself", NAMES),
    "runner/warming.py": ("a Python package", {"redis"}),
    "sections.py": ("the default user of the database", {"mlflow"}),
    "checks.py": ("a kind of check", {"redis"}),
    "assets/phases.py": ("a team, and a kind that the UI has a picture for", {"api", "mlflow"}),
    "catalogue/needs.py": ("sections and keys of the target file", {"api", "auth", "mlflow", "redis"}),
    "resources/injected.py": ("sections of the target file", {"mlflow", "redis"}),
    "resources/reports.py": ("what any answer may call a part", {*NAMES, "auth"}),
    "resources/recording.py": (
        "the program that wrote an answer, a system that errors are of",
        {"mlflow", "redis"},
    ),
    "resources/classification/answers.py": ("a system that errors are of", {"mlflow"}),
    "resources/classification/exceptions.py": ("a system that errors are of", {"redis"}),
    "resources/classification/table.py": ("systems that errors are of", {"mlflow", "redis"}),
    "diagnosis/evidence.py": ("systems that errors are of", {"mlflow", "redis"}),
    "diagnosis/signs.py": ("a system that errors are of", {"redis"}),
    "operations/__init__.py": ("a protocol", {"redis"}),
    "probes/component_logs.py": ("a system that errors are of", {"mlflow"}),
    "probes/mlflow_schema.py": ("a Python package", {"mlflow"}),
    "probes/registration.py": ("a Python package", {"mlflow"}),
    "probes/parity.py": ("a scheme of addresses", {"postgres"}),
    "probes/store_states.py": ("a system that errors are of", {"redis"}),
    "suite/test_environment.py": (
        "a Python package, endpoints of the target file, whose version it is",
        {"api", "auth", "mlflow", "postgres", "redis"},
    ),
}


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name, wherever a text of the code is the name of a part, or of an edge to one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split("->") if EDGE.fullmatch(node.value) else [node.value]
            yield from ((node.lineno, word) for word in words if word in NAMES)


FILES = [path.relative_to(PRODUCT).as_posix() for path in sorted(PRODUCT.rglob("*.py"))]


@pytest.mark.parametrize("file", FILES)
def test_code_asks_for_roles(file: str) -> None:
    allowed = ALLOWED[file][1] if file in ALLOWED else set()
    found = [f"{file}:{line}: {word!r}" for line, word in literals(PRODUCT / file) if word not in allowed]
    assert not found, f"Ask for the role instead (`Role`, `target.named(role)`): {', '.join(found)}"


def test_nothing_is_allowed_that_is_not_there() -> None:
    seen = {file: {word for _, word in literals(PRODUCT / file)} for file in ALLOWED}
    wide = {"topology.py", "resources/reports.py"}
    assert {file: words - seen[file] for file, (_, words) in ALLOWED.items() if file not in wide} == {
        file: set() for file in ALLOWED if file not in wide
    }


@pytest.mark.parametrize("name", ["operations/operations.toml", "diagnosis/advice.toml"])
def test_tables_ask_for_roles(name: str) -> None:
    values = tomllib.loads((PRODUCT / name).read_text(encoding="utf-8"))
    words = {word for text in _texts(values) for word in re.split(r"->|\?", text)}
    assert words & NAMES <= {"auth", "load_balancer"}  # roles of the same name


def test_the_catalogue_is_about_roles() -> None:
    parts = {need.partition(":")[2] for entry in entries() for need in entry.needs if "healthy:" in need}
    assert parts <= set(Role)
    assert {entry.component for entry in entries()} <= set(Role)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
