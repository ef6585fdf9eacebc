"""What a user installs: the wheel alone, in an empty environment, from nothing to a verdict."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hokusai_validation_tests.declared.services import shop, target_text

ROOT = Path(__file__).parents[2]
LIMIT_S = 900.0


def done(*words: str, cwd: Path, ends_with: int = 0, **environment: str) -> str:
    """What a command prints."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOKUSAI")}
    inherited.pop("VIRTUAL_ENV", None)
    ran = subprocess.run(
        words,
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ran.returncode == ends_with, f"{words}: {ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
    return ran.stdout


@pytest.mark.soak
def test_from_an_empty_environment_to_a_verdict(tmp_path: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    done(uv, "build", "--wheel", "--out-dir", str(tmp_path), str(ROOT), cwd=tmp_path)
    wheel = next(tmp_path.glob("*.whl"))
    done(uv, "venv", "--python", sys.executable, str(tmp_path / "empty"), cwd=tmp_path)
    python = str(tmp_path / "empty" / "bin" / "python")
    done(uv, "pip", "install", "--python", python, str(wheel), cwd=tmp_path)
    command = str(tmp_path / "empty" / "bin" / "hokusai-validation")
    place = tmp_path / "place"
    done(command, "init", str(place), cwd=tmp_path)
    with shop() as services:
        (place / "targets" / "shop.toml").write_text(target_text(services), encoding="utf-8")
        printed = done(command, "run", "shop", "--quiet", "--no-load", "--no-chaos", cwd=place)
    assert "HEALTHY" in printed
    report = place / "results" / "reports" / "shop" / "latest"
    assert json.loads((report / "report.json").read_text(encoding="utf-8"))["verdict"] == "healthy"
    assert (report / "report.html").is_file()
    assert done(command, "history", "shop", cwd=place)
