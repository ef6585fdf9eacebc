"""Every catalogued test is in the suite, and every test of the suite is catalogued."""

import subprocess
import sys
from pathlib import Path

from hokusai_validation.catalogue import entries
from hokusai_validation.runner.selection import SUITE_DIR
from hokusai_validation.runner.selection import test_name as name_of


def test_they_are_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(SUITE_DIR), "-c", str(SUITE_DIR / "pytest.ini")),
            *("--rootdir", str(SUITE_DIR), "-p", "hokusai_validation.runner.plugin"),
            *("-p", "no:cacheprovider", "-p", "no:randomly", "--collect-only", "-q"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    collected = [name_of(line) for line in done.stdout.splitlines() if "::" in line]
    assert len(collected) == len(set(collected))
    catalogued = {entry.test for entry in entries()}
    assert catalogued - set(collected) == set()
    assert set(collected) - catalogued == set()
