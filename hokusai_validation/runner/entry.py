"""What every pytest of the environment loads: it switches the suite's plugin on where the suite is
asked for (`pytest --pyargs hokusai_validation.suite`), from any folder, and does nothing else."""

import pytest

PLUGIN = "hokusai_validation.runner.plugin"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Load the plugin before the options are read for good."""
    asked = any("hokusai_validation.suite" in each or "hokusai_validation/suite" in each for each in args)
    if asked and not early_config.pluginmanager.has_plugin(PLUGIN):
        early_config.pluginmanager.import_plugin(PLUGIN)
