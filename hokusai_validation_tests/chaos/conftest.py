"""One link program for the folder, a stage of its own for each test."""

from collections.abc import Iterator

import pytest

from hokusai_validation.chaos.injection import Injector
from hokusai_validation_tests.chaos.stage import Stage, stage
from hokusai_validation_tests.links.program import LinkProgram


class Recorder:
    """Keeps what a test would put into its row."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.metrics: dict[str, float] = {}
        self.facts: list[tuple[str, str, str, str | None]] = []

    def record(self, name: str, value: object) -> None:
        """Evidence."""
        self.values[name] = value

    def metric(self, name: str, number: float) -> None:
        """A number."""
        self.metrics[name] = number

    def fact(self, kind: object, component: str, seen: str = "", via: str | None = None) -> None:
        """A fact."""
        self.facts.append((str(kind), component, seen, via))


@pytest.fixture(scope="package")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinkProgram]:
    """The link program."""
    with LinkProgram(tmp_path_factory.mktemp("links"), []) as made:
        yield made


@pytest.fixture
def scenery(program: LinkProgram) -> Iterator[Stage]:
    """Servers, links and their target."""
    with stage(program) as made:
        yield made


@pytest.fixture
def recorder() -> Recorder:
    """Instead of a suite's evidence."""
    return Recorder()


@pytest.fixture
def injector(scenery: Stage, recorder: Recorder) -> Iterator[Injector]:
    """Of the stage."""
    with Injector(scenery.target, scenery.secrets, recorder=recorder, lease_s=1.0) as made:
        yield made
