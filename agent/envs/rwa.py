"""`RwaYield-v0`: one vault over three tokenised assets on Mantle, a decision an hour, a month long."""

from __future__ import annotations

from typing import Any

from agent.envs.engine import EnvConfig
from agent.envs.risk_reward import Peg, RiskReward
from agent.observation.versions import RWA, RWA_ASSETS, RWA_FEATURES
from agent.policies.actions import RWA_MAX
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs

START = (0.40, 0.35, 0.25)
"""Weights that an episode starts with."""

RISK_FREE = 0.0425
"""Rate per year that excess returns are counted over."""

TURNOVER_COST = 0.001
"""Of what is moved from one asset to another; half of it when leaving, half when entering."""

MAX_DRAWDOWN = 0.15
"""Drawdown that ends an episode."""

PEGS = (Peg(RWA_FEATURES.index("usdy_peg"), 0.995, (0,)), Peg(RWA_FEATURES.index("meth_peg"), 0.98, (1,)))
"""Where the pegs of USDY and mETH count as lost."""


def rwa_config(limits: Limits | None = None, **changes: Any) -> EnvConfig:
    """Return what an episode over the three assets is.

    Parameters
    ----------
    limits
        The vault's walls; by default caps of 60 %, no idle floor and a drawdown limit of 15 % under the peak.
    changes
        Other entries of `EnvConfig`.
    """
    # The mark is the peak: its growth is bounded against donations, of which there are none here.
    walls = (
        Limits.uniform(RWA_ASSETS, RWA_MAX, idle_floor=0.0, max_drawdown=MAX_DRAWDOWN, mark_growth_rate=1e9)
        if limits is None
        else limits
    )
    usual: dict[str, Any] = {
        "version": RWA,
        "costs": Costs(entry=0.5 * TURNOVER_COST, exit=0.5 * TURNOVER_COST),
        "nav": 100_000.0,
        "episode_rows": 720,
        "warm_up": 0,
        "start_weights": START,
        "deployed_share": 0.0,
    }
    equal = (1.0 / RWA_ASSETS,) * RWA_ASSETS
    reward = RiskReward(scale=200.0, benchmark=equal, risk_free=RISK_FREE, risk_aversion=2.0, pegs=PEGS)
    return EnvConfig(walls, reward, **{**usual, **changes})
