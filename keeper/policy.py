"""The policy that the keeper serves: loaded, verified, not refused by the gate, and behind limits as tight as judged.

A verdict holds for the limits that the policy was judged under, and a vault's limits change: the guardian can tighten
them at once, governance can loosen them after its delay. So they are compared at every block that is read:

- Looser than judged, nothing is traded (`OtherLimitsError`): the policy was never seen without that wall. The guardian
  cannot cause this, and governance announces it, so there is time to judge the policy anew or to set
  `accept_other_limits`. Meanwhile depositors can leave, and as nobody gives the sign of life, anybody may unwind once
  the vault's patience with a silent keeper is over.
- Tighter than judged, the keeper warns and goes on: the walls only take away from what the policy may do, the decision
  is projected onto them, and stopping would let a guardian's precaution leave the vault unattended.
- The two limits that no backtest feels, the fee and the silence that lets anybody unwind, are told and never stop
  trading: the verdict does not depend on them.

Absolute caps are compared in money, as the vault enforces them, whatever NAV is. A difference of less than a millionth
is rounding. A policy without a verdict, or with one from before verdicts had limits, has nothing to compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from agent.errors import AgentError
from agent.observation.quotes import QUOTES
from agent.policies.load import Policy, load_policy, observation_of
from agent.policies.rules import BASELINES, Rule, as_committed
from agent.vault.limits import Difference, Limits
from keeper.config import KeeperConfig
from keeper.conversion import enforced_limits
from keeper.errors import OtherLimitsError, PolicyError
from keeper.snapshot import Snapshot

log = structlog.get_logger("keeper")

_ROUNDING = 1e-6


@dataclass
class ServedPolicy:
    """A policy that may trade, as long as the vault's limits allow it.

    Attributes
    ----------
    policy
        The policy as loaded.
    judged
        Limits of its verdict, if it has any.
    accept_other_limits
        Whether to trade where the vault's limits are looser.
    """

    policy: Policy
    judged: Limits | None = None
    accept_other_limits: bool = False
    _told: tuple[Difference, ...] = ()

    def at(self, snapshot: Snapshot) -> Policy:
        """Return the policy to ask at this block, a rule under the digest that the vault has committed to.

        A difference between the limits is logged when it is new.

        Raises
        ------
        OtherLimitsError
            When the vault's limits are looser than those that the policy was judged under.
        """
        if self.judged is not None and self.judged.count == len(snapshot.strategies):  # else the decision is refused
            names = [s.name or s.target for s in snapshot.strategies]
            found = self.judged.differences(enforced_limits(snapshot), names, tolerance=_ROUNDING)
            refused = [each for each in found if each.looser and each.in_backtests]
            if refused and not self.accept_other_limits:
                raise OtherLimitsError(
                    f"The vault's limits are looser than those that policy {self.policy.name} was judged under: "
                    f"{_told(refused)}. Judge it under the vault's limits (agent walk-forward, agent promote) and "
                    "commit that file, have governance tighten them, or set `accept_other_limits = true`."
                )
            if found and found != self._told:
                log.warning(
                    "the vault's limits are not those that the policy was judged under",
                    looser=_told([each for each in found if each.looser]) or "none",
                    tighter=_told([each for each in found if not each.looser]) or "none",
                )
            self._told = found
        return as_committed(self.policy, snapshot.policy_hash) if isinstance(self.policy, Rule) else self.policy


def _told(differences: list[Difference]) -> str:
    return "; ".join(each.told("judged", "in the vault") for each in differences)


def load_served(config: KeeperConfig) -> ServedPolicy:
    """Load the configured policy.

    Raises
    ------
    PolicyError
        When it cannot be loaded or verified, sees what the configuration does not quote, or was not promoted.
    """
    try:
        policy = load_policy(config.policy)
        verdict = getattr(policy, "manifest", {}).get("promotion", {"promoted": True})
        limits = verdict.get("limits")
        judged = None if limits is None else Limits.from_record(limits)
    except AgentError as error:
        raise PolicyError(f"`policy`: {error}. Nothing is traded without it.") from error
    version = observation_of(policy)
    lacking = [name for name in QUOTES[version] if name not in config.quotes]
    if lacking:
        tables = ", ".join(f"[quotes.{name}]" for name in lacking)
        raise PolicyError(
            f"`policy`: {config.policy} sees observation {version}, for which the configuration needs the tables "
            f"{tables}. `keeper init --stdout` shows one."
        )
    if not verdict["promoted"]:
        serve = verdict["serve"]
        file = "" if serve in BASELINES else f" (its file, which `agent promote` and `agent export {serve}` write)"
        raise PolicyError(
            f"`policy`: {config.policy} was not promoted: out of sample {verdict['best']} did better. Commit and "
            f"configure the rule that should serve, `{serve}`{file}, or train anew."
        )
    return ServedPolicy(policy, judged, config.accept_other_limits)
