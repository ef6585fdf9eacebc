"""Starts and runs the suite: selection, limits, rows, the process."""
