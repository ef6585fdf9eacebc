"""One whole run of the command line on the sandbox, looked at from several sides."""

from collections.abc import Iterator

import pytest

from hokusai_sandbox.stack import Stack
from hokusai_validation.target import Aws, read_target
from hokusai_validation_tests.deploy.recorder import Recorder, recording
from hokusai_validation_tests.whole.running import WholeRun, run_whole


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Of its own: on the shared one other tests restart tasks, and a run says so."""
    with Stack.start(tmp_path_factory.mktemp("sandbox")) as stack:
        yield stack


@pytest.fixture(scope="session")
def recorder(sandbox: Stack) -> Iterator[Recorder]:
    """Stands before the sandbox's AWS for the whole run."""
    with recording(_aws(sandbox).endpoint_url or "") as made:
        yield made


@pytest.fixture(scope="session")
def whole_run(sandbox: Stack, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """`hokusai-validation run TARGET --no-load --no-chaos --json`, once for all tests, on the sandbox
    with the recorder in AWS's place."""
    folder = tmp_path_factory.mktemp("whole")
    target = folder / "recorded.toml"
    target.write_text(
        f'include = "{sandbox.target_file}"\nname = "sandbox"\n'
        f'[aws]\ncluster = "{_aws(sandbox).cluster}"\nendpoint_url = "{recorder.url}"\n'
    )
    return run_whole(folder, target, "--json")


def _aws(sandbox: Stack) -> Aws:
    section = read_target(str(sandbox.target_file)).aws
    assert section is not None
    return section
