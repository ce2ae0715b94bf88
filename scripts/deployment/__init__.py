"""Putting a vault on a chain and looking at one.

`planning` checks all before anything is sent and makes a `plan`, `execute` sends, `verification` compares; `inspection`
reads any vault and `authority` who governs it, `report` tells both in plain words. `roles` and `limits` define what
there is to tell.
"""

from scripts.deployment.execute import Deployment, deploy_vault
from scripts.deployment.inspection import VaultState, inspect_vault
from scripts.deployment.plan import DeploymentPlan, PlannedStrategy
from scripts.deployment.planning import make_plan
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
