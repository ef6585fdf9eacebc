"""One stand-in for AWS for all tests here."""

from collections.abc import Iterator

import pytest

from hokusai_validation_tests.suite_aws.cloud import Cloud, running


@pytest.fixture(scope="session")
def shared_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Started once."""
    with running(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Iterator[Cloud]:
    """The same, with no state left behind by a test."""
    yield shared_cloud
    shared_cloud.tell("DELETE", "states")
