"""Modules whose shared functions break the contract: `get_circuit_breaker_status()` and
`reset_circuit_breaker()` that don't speak of the shared breaker. The breaker itself is right."""
