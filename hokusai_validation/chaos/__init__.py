"""Real faults: put on with permission and under a lease, proven from the side of the client of a link, always rolled back."""
