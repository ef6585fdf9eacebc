"""A healthy stub, made anew for each test."""

from collections.abc import Iterator

import pytest

from hokusai_validation_tests.suite_beyond.stub import GOOD_KEY, Stub, serving


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A server that answers as it should until told otherwise."""
    monkeypatch.setenv("STUB_GOOD_KEY", GOOD_KEY)
    with serving() as made:
        yield made
