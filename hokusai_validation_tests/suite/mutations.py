"""The table of deliberately wrong variants and the tests that go red with each. What stands in
`mutations.toml` was seen in runs; the tests hold further runs to it, and `docs/mutations.md` is
written from it: `HOKUSAI_RECORD_MUTATIONS=1 pytest -m soak hokusai_validation_tests/suite`."""

import fcntl
import importlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hokusai_sandbox.gateway.breaker_mutants import MUTANTS
from hokusai_sandbox.gateway.defects import DEFECTS
from hokusai_validation.catalogue import Entry, entries
from hokusai_validation_tests.suite.wrong_services import SERVICES

TABLE = Path(__file__).with_name("mutations.toml")
DOCUMENT = Path(__file__).parents[2] / "docs" / "mutations.md"
RECORD = bool(os.environ.get("HOKUSAI_RECORD_MUTATIONS"))
SHARED = ("status_of_new", "reset_of_new")
_SHARED_MODULES = "hokusai_sandbox.gateway.shared_mutants"

# Seen over time or under load only: what they turn red is no matter of these tests.
ELSEWHERE = frozenset(
    {
        "fails_sometimes",
        "health_flaps",
        "impatient_checks",
        "leaks_connections",
        "leaks_memory",
        "no_instance_name",
        "refuses_many",
        "slow",
        "slow_while_mlflow_down",
        "slows_down",
    }
)


@dataclass(frozen=True, order=True)
class Variant:
    """One wrong variant. `kind`: `breaker` (a class), `shared` (the module of the shared one),
    `gateway` (a whole API instance), `service` (one behind it)."""

    kind: str
    name: str


VARIANTS: tuple[Variant, ...] = (
    *(Variant("breaker", name) for name in MUTANTS),
    *(Variant("shared", name) for name in SHARED),
    *(
        Variant("gateway", name)
        for name in DEFECTS
        if not name.startswith("breaker_") and name not in ELSEWHERE
    ),
    *(Variant("service", name) for name in SERVICES),
)


def declared() -> Mapping[Variant, frozenset[str]]:
    """Variant → ids of the tests that go red with it."""
    if not TABLE.is_file():
        return {}
    found = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {
        Variant(kind, name): frozenset(red) for kind, names in found.items() for name, red in names.items()
    }


def record(seen: Mapping[Variant, Iterable[str]]) -> None:
    """Write what was seen into the table, and the document anew."""
    with TABLE.open("a", encoding="utf-8") as lock:  # several processes may record at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        _record(seen)


def _record(seen: Mapping[Variant, Iterable[str]]) -> None:
    table = {**declared(), **{variant: frozenset(red) for variant, red in seen.items()}}
    lines = ["# Seen in runs; see mutations.py. Not edited by hand.", ""]
    kind = ""
    for variant in sorted(table):
        if variant.kind != kind:
            kind = variant.kind
            lines += [f"[{kind}]"]
        lines.append(f"{variant.name} = {json.dumps(in_order(table[variant]))}")
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    DOCUMENT.write_text(document(table), encoding="utf-8")


def what_is_wrong(variant: Variant) -> tuple[str, str]:
    """What the variant does wrongly, and the contract's sentence that it breaks."""
    if variant.kind == "breaker":
        mutant = MUTANTS[variant.name]
        return " ".join((mutant.__doc__ or "").split()), mutant.CONTRACT
    if variant.kind == "shared":
        module = importlib.import_module(f"{_SHARED_MODULES}.{variant.name}")
        return " ".join((module.__doc__ or "").split()), str(module.CONTRACT)
    if variant.kind == "service":
        return SERVICES[variant.name].says, SERVICES[variant.name].contract
    defect = DEFECTS[variant.name]
    return defect.says, defect.contract


def in_order(ids: Iterable[str]) -> list[str]:
    """Ids as a reader expects them: by letter, then by number."""
    return sorted(ids, key=lambda each: (each.rstrip("0123456789"), int(re.sub(r"\D", "", each))))


def ours() -> tuple[Entry, ...]:
    """The tests that this table is about: unit, integration, authentication, registration."""
    return tuple(entry for entry in entries() if re.fullmatch(r"[UI]\d+|F[12]\d\d", entry.id))


def document(table: Mapping[Variant, frozenset[str]]) -> str:
    """The table as a page: by variant, then by test."""
    lines = [
        "# What turns which test red",
        "",
        "Written by the tests (`hokusai_validation_tests/suite/mutations.py`) from runs of the real suite"
        " against deliberately wrong variants of the service: a breaker class, the module of the shared"
        " breaker, a whole API instance beside a sandbox, or a service behind one. A variant that turns several tests red breaks a"
        " promise that all of them rest on; the sentence in the third column is the one that it breaks.",
        "",
        "## By variant",
        "",
        "| variant | what is wrong | the promise | tests that go red |",
        "| --- | --- | --- | --- |",
    ]
    for variant in sorted(table):
        wrong, contract = what_is_wrong(variant)
        red = ", ".join(in_order(table[variant])) or "– (by other parts of the suite)"
        cells = (f"{variant.kind} `{variant.name}`", wrong, contract, red)
        lines.append(f"| {' | '.join(_cell(each) for each in cells)} |")
    lines += [
        "",
        "## By test",
        "",
        "| test | must hold | variants that turn it red |",
        "| --- | --- | --- |",
    ]
    for entry in ours():
        variants = [f"`{variant.name}`" for variant in sorted(table) if entry.id in table[variant]]
        row = (f"{entry.id} `{entry.test.partition('::')[2]}`", entry.says, ", ".join(variants) or "–")
        lines.append(f"| {' | '.join(_cell(each) for each in row)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
