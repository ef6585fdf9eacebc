"""Real faults: put on with permission and under a lease, proven from the victim's side, always undone."""
