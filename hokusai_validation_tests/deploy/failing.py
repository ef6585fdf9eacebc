"""A code location whose sensor fails and whose asset `report` succeeds, for the daemon's real log."""

import dagster as dg


@dg.asset(key=["t", "report"])
def report() -> int:
    """A report."""
    return 1


@dg.sensor(asset_selection="*", minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def fails() -> None:
    """A tick that fails, as one does when AWS does not answer."""
    raise RuntimeError("AWS does not answer")


defs = dg.Definitions(assets=[report], sensors=[fails])
