"""One rig for the session."""

from collections.abc import Iterator

import pytest

from hokusai_sandbox_tests.gateway.rig import Rig, Running


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Redis, PostgreSQL, the auth service and a stub of MLflow."""
    rig = Rig(tmp_path_factory.mktemp("rig"))
    yield rig
    rig.close()


@pytest.fixture
def up(rig: Rig) -> Iterator[Running]:
    """A good gateway of its own."""
    with rig.start() as running:
        yield running


@pytest.fixture
def unhurried(rig: Rig) -> Iterator[Running]:
    """A good gateway whose checks may take as long as a busy machine lets them: the rig's own limits, short
    for tests of what is cut off, are half a second for the first connection to each service."""
    with rig.start(check_timeout_s=5.0, health_timeout_s=7.0) as running:
        yield running


@pytest.fixture(scope="module")
def shared(rig: Rig) -> Iterator[Running]:
    """A good gateway for tests that only ask, and change nothing."""
    with rig.start() as running:
        yield running
