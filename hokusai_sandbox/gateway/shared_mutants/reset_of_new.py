"""The reset is of a breaker made for the occasion; the shared one stays as it was."""

from typing import Any

from hokusai_sandbox import breaker

CONTRACT = "Module-level get_circuit_breaker_status() and reset_circuit_breaker() for the shared one."


class MLflowCircuitBreaker(breaker.MLflowCircuitBreaker):
    """Right."""


circuit_breaker = MLflowCircuitBreaker()


def get_circuit_breaker_status() -> dict[str, Any]:
    """Right."""
    return circuit_breaker.get_status()


def reset_circuit_breaker() -> None:
    """Wrong: of a new breaker."""
    MLflowCircuitBreaker().force_reset()
