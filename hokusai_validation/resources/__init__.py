"""Connections to the target: each with time-outs, bounded retries and errors that name one failure."""
