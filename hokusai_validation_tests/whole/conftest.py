"""One whole run of the command line on the sandbox, looked at from several sides."""

import pytest

from hokusai_validation.sandbox.stack import Stack
from hokusai_validation_tests.whole.running import WholeRun, run_whole


@pytest.fixture(scope="session")
def whole_run(sandbox: Stack, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """`hokusai-validation run TARGET --no-load --no-chaos --json`, once for all tests."""
    return run_whole(tmp_path_factory.mktemp("whole"), sandbox.target_file, "--json")
