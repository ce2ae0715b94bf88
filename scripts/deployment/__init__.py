"""Deploys a vault: `plan` checks everything before anything is sent, `execute` sends, `verification` reads back."""

from keeper.inspect.state import VaultState, inspect_vault
from scripts.deployment.execute import Deployment, deploy_vault
from scripts.deployment.plan import DeploymentPlan, PlannedStrategy, make_plan
from scripts.deployment.verification import verify

__all__ = [
    "Deployment",
    "DeploymentPlan",
    "PlannedStrategy",
    "VaultState",
    "deploy_vault",
    "inspect_vault",
    "make_plan",
    "verify",
]
