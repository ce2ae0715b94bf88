"""Putting a vault on a chain: `plan` checks all before anything is sent, `execute` sends, `inspection` reads back."""

from scripts.deployment.execute import Deployment, deploy_vault
from scripts.deployment.inspection import VaultLimits, read_limits, verify
from scripts.deployment.plan import DeploymentPlan, PlannedStrategy, make_plan

__all__ = [
    "Deployment",
    "DeploymentPlan",
    "PlannedStrategy",
    "VaultLimits",
    "deploy_vault",
    "make_plan",
    "read_limits",
    "verify",
]
