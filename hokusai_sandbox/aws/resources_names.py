"""Names of the resources: for those that must not wait for moto to be imported."""

SERVICES = {
    "api": "hokusai-api-development",
    "auth": "hokusai-auth-development",
    "mlflow": "hokusai-mlflow-development",
}
TARGET_GROUPS = {
    "api": "hokusai-api-tg-development",
    "auth": "hokusai-auth-tg-development",
    "mlflow": "hokusai-mlflow-tg-development",
}
# Name -> the hosts that its public name stands for, and the component of its default action.
LOAD_BALANCERS = {
    "hokusai-registry-development": (("registry", "api"), "api"),
    "hokusai-auth-development": (("auth",), "auth"),
}
HEALTH_PATHS = {"api": "/health", "auth": "/health", "mlflow": "/health"}
TOPIC = "hokusai-validation-alerts"
LOAD_BALANCER_NAMES = tuple(LOAD_BALANCERS)


def log_group(component: str) -> str:
    """A service's log group."""
    return f"/ecs/{SERVICES[component]}"
