"""Every command of every document: that it is one, with options that there are; and the tour as it stands."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hokusai_validation.cli import cli
from hokusai_validation.run_test_suite import main as suite
from hokusai_validation_tests.docs.commands import PROGRAM, ROOT, Command, commands

ALL = list(dict.fromkeys(commands()))
OURS = [each for each in ALL if each.words[0] == PROGRAM]
LIMIT_S = 900.0
PLACEHOLDER = re.compile(r"[A-Z_]{1,}(…)?|…|NAME=.*|\d+\.\.\d+")


def parsed(words: tuple[str, ...]) -> None:
    """Raises click's errors for a command or option that there is not. Nothing is run."""
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group):
        # What stands before a sub-command: `--trace`.
        while rest and rest[0].startswith("-"):
            rest.pop(0)
        if not rest:
            return
        name = rest.pop(0)
        if PLACEHOLDER.fullmatch(name):
            return
        found = command.get_command(click.Context(command), name.rstrip(",;"))
        assert found is not None, f"there is no command {name}"
        command = found
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        option = word.partition("=")[0].rstrip(",;…")
        if option.startswith("-") and len(option) > 1:
            assert option in known | {"-h", "--help"}, f"there is no option {option}"


@pytest.mark.parametrize("command", OURS, ids=str)
def test_it_is_a_command_with_such_options(command: Command) -> None:
    parsed(command.words[1:])


@pytest.mark.parametrize("command", [each for each in ALL if each.words[0] == "make"], ids=str)
def test_make_has_the_target(command: Command) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{command.words[1]}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("command", [each for each in ALL if each.words[0] == "python"], ids=str)
def test_the_module_is_there(command: Command) -> None:
    module = command.words[2]
    assert importlib.util.find_spec(module) is not None
    if module == "hokusai_validation.run_test_suite":
        known = {name for parameter in suite.params for name in parameter.opts}
        assert {word for word in command.words[3:] if word.startswith("--")} <= known


# What is shown of them needs no stack: they are run as they stand.
WITHOUT_A_STACK = ("explain", "target check", "completion", "init", "sandbox scenarios", "sandbox status")


def test_what_needs_no_stack_runs(tmp_path: Path) -> None:
    """Those with names of their own in them, in a folder that `init` made."""
    program = str(Path(sys.executable).with_name(PROGRAM))
    place = tmp_path / "place"
    subprocess.run([program, "init", str(place)], check=True, capture_output=True, timeout=120)
    ran = 0
    for command in OURS:
        text = " ".join(command.words[1:])
        if not text.startswith(WITHOUT_A_STACK) or any(PLACEHOLDER.fullmatch(word) for word in command.words):
            continue
        done = subprocess.run(
            [program, *command.words[1:]], cwd=place, capture_output=True, text=True, timeout=120, check=False
        )
        trouble = "there already" in done.stderr or "holds" in done.stderr or "not known" in done.stderr
        assert done.returncode in (0, 2, 3), done.stderr
        assert done.returncode == 0 or trouble or text.startswith("sandbox status"), done.stderr
        ran += 1
    assert ran


@pytest.mark.soak
def test_the_tour_leads_from_broken_to_repaired(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name(PROGRAM))
    tour = [each for each in commands() if each.document == "tour.md" and each.text.startswith("$ ")]
    assert tour
    statuses = []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOKUSAI")}
    try:
        for command in tour:
            done = subprocess.run(
                [program, *command.words[1:]],
                cwd=tmp_path,
                env={**environment, "DAGSTER_HOME": str(tmp_path / ".dagster")},
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            if command.words[1] == "run":
                statuses.append(done.returncode)
            else:
                assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    finally:
        subprocess.run([program, "sandbox", "down"], cwd=tmp_path, timeout=LIMIT_S, check=False)
    assert statuses[0] == 1
    assert statuses[-1] == 0
