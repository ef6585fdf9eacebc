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


@pytest.fixture(scope="module")
def shared(rig: Rig) -> Iterator[Running]:
    """A good gateway for tests that only ask, and change nothing."""
    with rig.start() as running:
        yield running
