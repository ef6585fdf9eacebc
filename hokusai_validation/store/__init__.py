"""What a run leaves behind: rows, runs, reports, and the lock of a target."""
