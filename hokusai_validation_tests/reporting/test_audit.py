"""What `audit` sees: files that were changed, chains that were rewritten or rolled back, also as a whole, and
folders of reports that a kill left half-written."""

import os
import shutil
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from hokusai_validation.cli.audit import audit
from hokusai_validation.reporting import manifest, write
from hokusai_validation.reporting.manifest import Anchors
from hokusai_validation.store import scratch
from hokusai_validation_tests.reporting.sample import report

KEY = SecretStr("a signing key of some length")


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    for name in ("one", "two", "three"):
        written(tmp_path, name)
    return tmp_path / "sandbox"


def written(base: Path, name: str) -> Path:
    return Path(write(report().model_copy(update={"run_id": name}), base))


def recorded(reports: Path) -> Anchors:
    names = ("one", "two", "three")
    return Anchors({name: manifest.sha256(reports / name / manifest.NAME) for name in names}, "three")


def problems(reports: Path, **options: object) -> dict[str, tuple[str, ...]]:
    return {link.folder.name: link.problems for link in manifest.chain(reports, **options)}  # type: ignore[arg-type]


def rehashed(folder: Path) -> None:
    """A report changed by somebody who knows how manifests are made."""
    (folder / "handoff.md").write_text("better news")
    path = folder / manifest.NAME
    content = manifest.Manifest.model_validate_json(path.read_bytes())
    files = {**content.files, "handoff.md": sha256(b"better news").hexdigest()}
    path.write_text(content.model_copy(update={"files": files}).model_dump_json())


def test_a_whole_chain_is_as_written(reports: Path) -> None:
    assert problems(reports, anchors=recorded(reports)) == {"three": (), "two": (), "one": ()}


def test_the_newest_report_made_anew_with_its_hashes_is_seen(reports: Path) -> None:
    known = recorded(reports)
    rehashed(reports / "three")
    assert problems(reports)["three"] == (), "the folder alone can't tell"
    assert problems(reports, anchors=known)["three"] == (
        "manifest.json is not the one that Dagster has on record",
    )


def test_a_chain_rolled_back_as_a_whole_is_seen(reports: Path) -> None:
    known = recorded(reports)
    shutil.rmtree(reports / "three")
    (reports / "latest").unlink()
    (reports / "latest").symlink_to("two")
    assert set(problems(reports).values()) == {()}
    assert problems(reports, anchors=known)["two"] == (
        "`latest` leads to two, but the report of three was written last",
    )


def test_a_chain_that_is_gone_is_seen(reports: Path) -> None:
    known = recorded(reports)
    shutil.rmtree(reports)
    reports.mkdir()
    assert problems(reports, anchors=known) == {
        "three": ("`latest` leads to nothing, but the report of three was written last",)
    }


def test_a_latest_that_was_turned_back_is_seen(reports: Path) -> None:
    (reports / "latest").unlink()
    (reports / "latest").symlink_to("one")
    assert problems(reports)["three"] == ("not in the chain of `latest`",)


def test_a_latest_that_is_a_folder_is_kept_aside_and_the_chain_goes_on(reports: Path) -> None:
    (reports / "latest").unlink()
    shutil.copytree(reports / "three", reports / "latest")
    written(reports.parent, "four")
    assert (reports / "latest").is_symlink()
    assert (reports / ".latest-before-four" / manifest.NAME).is_file()
    assert problems(reports) == {"four": (), "three": (), "two": (), "one": ()}


def test_signed_reports_can_not_be_made_anew_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "unsigned")
    monkeypatch.setenv(manifest.KEY_VARIABLE, KEY.get_secret_value())
    written(tmp_path, "signed")
    folder = tmp_path / "sandbox"
    said = "manifest.json is not signed with the key of HOKUSAI_SIGNING_KEY"
    assert problems(folder, key=KEY) == {"signed": (), "unsigned": (said,)}
    assert problems(folder) == {"signed": (), "unsigned": ()}
    rehashed(folder / "signed")
    assert said in problems(folder, key=KEY)["signed"]
    assert KEY.get_secret_value() not in "".join(
        path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()
    )


def test_the_command_reads_where_the_results_lie(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(reports, tmp_path / "kept" / "reports" / "sandbox", symlinks=True)
    (tmp_path / "sandbox.toml").write_text('name = "sandbox"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOKUSAI_RESULTS", str(tmp_path / "kept"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    done = CliRunner().invoke(audit, [str(tmp_path / "sandbox.toml")], standalone_mode=False)
    assert done.return_value == 0, done.output
    assert "3 reports, 0 with something changed" in done.output
    assert "0 of them compared with Dagster's record" in done.output
    (tmp_path / "kept" / "reports" / "sandbox" / "one" / "handoff.md").write_text("other")
    done = CliRunner().invoke(audit, [str(tmp_path / "sandbox.toml")], standalone_mode=False)
    assert done.return_value == 1


def test_a_chain_in_a_bucket_is_read_as_well() -> None:
    from upath import UPath

    base = UPath("memory://audited")
    for name in ("one", "two"):
        write(report().model_copy(update={"run_id": name}), base)
    links = manifest.chain(base / "sandbox")
    assert [(link.folder.name, link.problems) for link in links] == [("two", ()), ("one", ())]


HELD = """
import signal, sys
from pathlib import Path
from hokusai_validation.store import scratch
with scratch.folder("data-docs-", Path(sys.argv[1])) as folder:
    (folder / "half").write_text("x")
    print(folder, flush=True)
    signal.pause()
"""


def test_the_folder_of_a_killed_process_ends_with_the_next_one_and_that_of_a_living_one_stays(
    tmp_path: Path,
) -> None:
    foreign = tmp_path / "data-docs-somebody's"
    foreign.mkdir()
    held = [
        subprocess.Popen([sys.executable, "-c", HELD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        folders = []
        for process in held:
            assert process.stdout is not None
            folders.append(Path(process.stdout.readline().strip()))
        held[0].send_signal(signal.SIGKILL)
        held[0].wait(10)
        with scratch.folder("data-docs-", tmp_path) as mine:
            assert not folders[0].exists()
            assert folders[1].exists()
            assert mine.exists()
        assert not mine.exists()
    finally:
        for process in held:
            process.kill()
            process.wait()
    scratch.sweep(tmp_path, "data-docs-")
    assert [path.name for path in tmp_path.iterdir()] == [foreign.name]
    os.utime(foreign, (0, 0))  # of an earlier version
    scratch.sweep(tmp_path, "data-docs-")
    assert list(tmp_path.iterdir()) == []
