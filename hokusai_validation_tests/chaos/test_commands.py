"""`hokusai-validation chaos` and `links`: what a person sees."""

import subprocess
import sys
from pathlib import Path

from hokusai_validation_tests.chaos.stage import Stage


def typed(*words: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "hokusai_validation.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
    )


def test_a_dry_run_prints_every_experiment_and_touches_nothing(scenery: Stage, tmp_path: Path) -> None:
    done = typed("chaos", "run", str(scenery.write_target(tmp_path)), "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("C")] == [f"C{n}" for n in range(1, 13)]
    assert "  skipped: no control agent configured" in lines
    assert "  put on: refuse on link api-1->postgres" in lines
    assert lines[-1].endswith("Nothing was done.")
    assert scenery.dirty() == []
    assert all(server.accepted == 0 for server in scenery.servers.values())


def test_production_is_not_touched_without_its_name(scenery: Stage, tmp_path: Path) -> None:
    file = scenery.write_target(tmp_path)
    file.write_text("production = true\n" + file.read_text())
    done = typed("chaos", "run", str(file))
    assert done.returncode == 2
    assert "add --confirm stage" in done.stderr
    assert (
        "not permitted: target 'stage' is production" in typed("chaos", "run", str(file), "--dry-run").stdout
    )
    told = typed("chaos", "run", str(file), "--dry-run", "--confirm", "stage").stdout
    assert "not permitted" not in told


def test_the_list_says_what_is_permitted(scenery: Stage, tmp_path: Path) -> None:
    file = scenery.write_target(tmp_path)
    file.write_text(file.read_text().replace('"refuse", ', ""))
    lines = typed("chaos", "list", str(file)).stdout
    assert "skipped: fault 'refuse' not permitted on this target" in lines
    assert "permitted\n" in lines


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    missing = typed("links", "--config", str(tmp_path / "none.json"))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr.startswith("error: Link configuration ")
    unknown = typed("chaos", "stop", "nowhere", folder=tmp_path)
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("error: Target 'nowhere' is not known")
