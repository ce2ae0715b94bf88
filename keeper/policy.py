"""The policy that the keeper serves: loaded, verified, and not one that the gate refused."""

from __future__ import annotations

from agent.errors import AgentError
from agent.observation.observe import CHAIN
from agent.policies.load import Policy, load_policy
from agent.policies.rules import BASELINES
from keeper.config import KeeperConfig
from keeper.errors import PolicyError


def load_served(config: KeeperConfig) -> Policy:
    """Load the configured policy.

    Raises
    ------
    PolicyError
        When it cannot be loaded or verified, or was not promoted.
    """
    try:
        policy = load_policy(config.policy, version=CHAIN)
    except AgentError as error:
        raise PolicyError(f"`policy`: {error}. Nothing is traded without it.") from error
    verdict = getattr(policy, "manifest", {}).get("promotion", {"promoted": True})
    if not verdict["promoted"]:
        serve = verdict["serve"]
        file = "" if serve in BASELINES else f" (its file, which `agent promote` and `agent export {serve}` write)"
        raise PolicyError(
            f"`policy`: {config.policy} was not promoted: out of sample {verdict['best']} did better. Commit and "
            f"configure the rule that should serve, `{serve}`{file}, or train anew."
        )
    return policy
