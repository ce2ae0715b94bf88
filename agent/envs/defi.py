"""`DefiYield-v0`: one vault over five DeFi venues, a decision every five minutes, a day long."""

from __future__ import annotations

from typing import Any

import numpy as np

from agent.envs.engine import EnvConfig
from agent.envs.risk_reward import Peg, RiskReward
from agent.observation.versions import DEFI, DEFI_FEATURES, DEFI_VENUES
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs

CAP = 0.4
"""Most of NAV in one venue."""

MAX_DRAWDOWN = 0.2
"""Drawdown at which the vault halts and is unwound to idle; the episode goes on."""

RUIN = 0.5
"""Share of the capital whose loss ends an episode."""

ENTRY = (0.0003, 0.0, 0.0001, 0.0001, 0.0)
"""Share of a deposit, or of a withdrawal, that is lost on the way.

Half of it is swapped to ETH at 5 bp for liquidity, all of it to USDT at 1 bp, one coin to the three of Curve at 1 bp;
USDC becomes DAI at par at Sky, and Yearn takes it as it is.
"""

_COINS = {"dai_peg": (1, 3), "usdc_peg": (0, 3, 4), "usdt_peg": (2, 3)}
_MIN_PEG = 0.99

PEGS = tuple(Peg(DEFI_FEATURES.index(name), _MIN_PEG, venues) for name, venues in _COINS.items())
"""Which venue holds which coin, and where a peg counts as lost."""


def defi_config(limits: Limits | None = None, **changes: Any) -> EnvConfig:
    """Return what an episode over the five venues is.

    Parameters
    ----------
    limits
        The vault's walls; by default caps of 40 %, an idle floor of 2 % and, at a drawdown of 20 %, a halt with the
        exit to idle. The episode terminates at the loss of half the capital.
    changes
        Other entries of `EnvConfig`.
    """
    # The mark is the peak: its growth is bounded against donations, of which there are none here.
    walls = (
        Limits.uniform(DEFI_VENUES, CAP, max_drawdown=MAX_DRAWDOWN, mark_growth_rate=1e9) if limits is None else limits
    )
    swap = np.array(ENTRY)
    usual: dict[str, Any] = {
        "version": DEFI,
        "costs": Costs(entry=swap, exit=swap),
        "episode_rows": 288,
        "warm_up": 0,
        "ruin": RUIN,
        "halt_ends": False,
    }
    return EnvConfig(walls, RiskReward(scale=1000.0, pegs=PEGS), **{**usual, **changes})
