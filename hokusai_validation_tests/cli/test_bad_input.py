"""Bad input: one sentence that names the thing and what to do, the right exit status, no trace, and
nothing started or written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hokusai_validation_tests.cli.typed import typed

SCRIPT = str(Path(sys.executable).with_name("hokusai-validation"))
GOOD = 'name = "stub"\n'


def command(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOKUSAI")}
    return subprocess.run(
        [SCRIPT, *words],
        cwd=folder,
        env={**inherited, "DAGSTER_HOME": str(folder / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


PRODUCTION = """
name = "live"
production = true
[permissions.load]
max_rate = 1.0
max_duration_s = 1.0
"""


@pytest.mark.parametrize(
    ("file", "words", "status", "text"),
    [
        (GOOD, ("run", "nowhere"), 2, "Target 'nowhere' is not known: there is no file targets/nowhere.toml"),
        (GOOD, ("run", "none.toml"), 2, "there is no file none.toml"),
        ("nonsense = 1\n" + GOOD, ("run", "t.toml"), 2, "unknown key `nonsense`. See targets/example.toml"),
        ("name = 5\n", ("run", "t.toml"), 2, "`name`: Input should be a valid string"),
        ('name = "stub"\n[tls]\nexpiring_days = "x"\n', ("run", "t.toml"), 2, "`tls.expiring_days`"),
        ("name = \n", ("run", "t.toml"), 2, "t.toml is not valid TOML"),
        ('name = "stub"\ninclude = "gone.toml"\n', ("run", "t.toml"), 2, "Target 'stub' is not up"),
        (
            'name = "stub"\n[keys]\ngood = { env = "NO_SUCH_KEY" }\n',
            ("run", "t.toml"),
            2,
            "Environment variable NO_SUCH_KEY is missing, and target 'stub' needs it. Set it: export NO_SUCH_KEY=",
        ),
        (PRODUCTION, ("run", "t.toml"), 2, "add --confirm live"),
        (PRODUCTION, ("run", "t.toml", "--confirm", "other"), 2, "add --confirm live"),
        (GOOD, ("run", "t.toml", "--phase", "nonsense"), 2, "Invalid value for '--phase'"),
        (GOOD, ("run", "t.toml", "--repeat", "0"), 2, "Invalid value for '--repeat'"),
        (GOOD, ("run", "t.toml", "--failed", "--phase", "load"), 2, "leave out --phase"),
        (GOOD, ("run", "t.toml", "--expect-commit", "xyz"), 2, "'xyz' is no commit"),
        (GOOD, ("run", "t.toml", "--expect-commit", "abcdef1"), 2, "has no gateway to ask for its commit"),
        (GOOD, ("nonsense",), 2, "No such command 'nonsense'"),
        (GOOD, ("ui", "--no-sandbox"), 2, "workspace.yaml can't be read"),
    ],
)
def test_one_sentence(tmp_path: Path, file: str, words: tuple[str, ...], status: int, text: str) -> None:
    (tmp_path / "t.toml").write_text(file)
    done = typed(tmp_path, *words)
    assert done.returncode == status, done.stderr
    assert text in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert {each.name for each in tmp_path.iterdir()} == {"t.toml"}


def test_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_bytes(b"\xff\xfe name")
    done = command(tmp_path, "run", "t.toml")
    assert done.returncode == 2
    assert "t.toml is not valid TOML" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_trace_only_when_asked_for(tmp_path: Path) -> None:
    assert "Traceback" in command(tmp_path, "--trace", "run", "nowhere").stderr
