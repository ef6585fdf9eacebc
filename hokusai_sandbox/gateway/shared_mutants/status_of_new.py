"""The status is that of a breaker made for the occasion, not of the shared one."""

from typing import Any

from hokusai_sandbox import breaker

CONTRACT = "Module-level get_circuit_breaker_status() and reset_circuit_breaker() for the shared one."


class MLflowCircuitBreaker(breaker.MLflowCircuitBreaker):
    """Right."""


circuit_breaker = MLflowCircuitBreaker()


def get_circuit_breaker_status() -> dict[str, Any]:
    """Wrong: of a new breaker."""
    return MLflowCircuitBreaker().get_status()


def reset_circuit_breaker() -> None:
    """Right."""
    circuit_breaker.force_reset()
