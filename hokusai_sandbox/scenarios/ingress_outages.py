"""What happens to requests and artifacts on their way."""

from hokusai_sandbox.plan import HOSTS
from hokusai_sandbox.scenarios.model import Scenario

SCENARIOS = (
    Scenario(
        "stored_artifacts_damaged",
        "The bucket gives back artifacts with one bit changed.",
        aws=({"state": "artifacts_damaged"},),
    ),
    Scenario(
        "redirect_drops_auth",
        "HTTP is redirected to another host, where clients drop the Authorization header.",
        aws=({"state": "redirect_host", "host": HOSTS["api"]},),
    ),
    Scenario(
        "mlflow_database_cut",
        "MLflow has no connection to its database.",
        changes=({"do": "link", "edges": ["mlflow->postgres"], "cut": True},),
    ),
    Scenario(
        "artifact_store_cut",
        "MLflow has no connection to its bucket.",
        changes=({"do": "link", "edges": ["mlflow->artifacts"], "cut": True},),
    ),
    Scenario(
        "no_targets",
        "Nothing is registered in the auth service's target group.",
        aws=({"state": "targets_missing", "component": "auth"},),
    ),
)
