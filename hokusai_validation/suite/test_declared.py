"""The checks that the target file declares, one test each."""

import pytest

from hokusai_validation.checks import Check
from hokusai_validation.permission import Gate
from hokusai_validation.probes.declared import Asker
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.runner.state import STATE
from hokusai_validation.target import Target


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each of the target's checks."""
    state = metafunc.config.stash.get(STATE, None)
    checks = () if state is None else state.settings.target.checks
    metafunc.parametrize("check", checks, ids=[each.name for each in checks])


class TestDeclared:
    """What the target's owner expects of it."""

    def test_check(
        self, check: Check, target: Target, gate: Gate, secrets: Secrets, evidence: Evidence
    ) -> None:
        """The answer is as expected."""
        Asker(target, gate, secrets, evidence).ask(check)
