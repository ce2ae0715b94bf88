"""Every environment by its name: its market, and its episodes. Training, bench and commands choose here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.envs.engine import EnvConfig
from agent.envs.reward import LendingReward, Peg, RiskReward
from agent.envs.scalar import VaultEnv
from agent.errors import PresetError
from agent.market.defi import DefiMarket, shipped_parameters
from agent.market.lending import shipped_market
from agent.market.path import Market
from agent.market.rwa import RwaMarket
from agent.observation.observe import DEFI, DEFI_FEATURES, DEFI_VENUES, RWA, RWA_ASSETS, RWA_FEATURES
from agent.policies.actions import RWA_MAX
from agent.units import FloatArray
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs

_FREE = 1e9
"""Growth per year without a bound, for assets with prices.

The bound suits what earns interest. A price may rise in a day by more than any interest in a year: the bid would lag
behind NAV for weeks, and with it the share price that halts a vault.
"""


def lending_config(limits: Limits | None = None, *, concentration_price: float = 0.7, **changes: Any) -> EnvConfig:
    """Return the episodes of `Lending-v0`: lending markets, one decision a day.

    Parameters
    ----------
    limits
        Three strategies, caps of 60 % and an idle floor of 2 % by default.
    concentration_price
        See `LendingReward`.
    changes
        Other entries of `EnvConfig`.
    """
    chosen = Limits.uniform(3) if limits is None else limits
    return EnvConfig(chosen, LendingReward(chosen.idle_floor, concentration_price), **changes)


DEFI_CAP = 0.4
"""Largest share of NAV in one venue."""

DEFI_ENTRY = (0.0003, 0.0, 0.0001, 0.0001, 0.0)
"""Share of a deposit, or of a withdrawal, that is lost on the way.

Half of it is swapped to ETH at 5 bp for liquidity, all of it to USDT at 1 bp, one coin to the three of Curve at 1 bp;
USDC becomes DAI at par at Sky, and Yearn takes it as it is.
"""

_AMPLIFICATION = 2000.0
"""Of Curve's 3pool from 2020 to 2023, as its contract counts it: `A n^(n - 1)` in the terms of the paper."""


def defi_impact() -> FloatArray:
    """Return the price impact of the venues of `DefiYield-v0`, shares per dollar that a leg moves, `(5,)`.

    To first order in the size of the leg, in pools of the market's median depth. In the two pools, and there only, what
    others supply is also what a swap trades against.

    - Uniswap: half of a leg `x` is swapped against half of the depth `D`, where the product of both sides is constant:
      a price off by `x / D` on half of it, `x / (2 D)` of the leg.
    - Curve: near balance a coin's price falls by its surplus over the mean, as a share of what there is of it, over
      `A + 1` (Egorov, "StableSwap", 2019). A leg of one coin to `D / 3` of it loses `x / (D (A + 1))` on average.
    - USDT is bought in the same pool: one coin's surplus and another's lack make it three times that.

    That is 45 bp for a leg of a million at Uniswap, and less than 0.1 bp at the others.
    """
    pool, _, _, three, _ = shipped_parameters()["depth"]
    stable = three * (_AMPLIFICATION + 1.0)
    return np.array([0.5 / pool, 0.0, 3.0 / stable, 1.0 / stable, 0.0])


_DEFI_COINS = {"dai_peg": (1, 3), "usdc_peg": (0, 3, 4), "usdt_peg": (2, 3)}
_DEFI_PEGS = tuple(Peg(DEFI_FEATURES.index(name), 0.99, venues) for name, venues in _DEFI_COINS.items())


def defi_config(limits: Limits | None = None, **changes: Any) -> EnvConfig:
    """Return the episodes of `DefiYield-v0`: five DeFi venues, a decision every five minutes, a day long.

    Parameters
    ----------
    limits
        By default caps of 40 %, an idle floor of 2 % and a drawdown limit of 20 %, at which the vault halts and is
        unwound to idle. The episode terminates at the loss of half the capital.
    changes
        Other entries of `EnvConfig`.
    """
    if limits is None:
        limits = Limits.uniform(DEFI_VENUES, DEFI_CAP, max_drawdown=0.2, max_growth_rate=_FREE)
    swap = np.array(DEFI_ENTRY)
    usual: dict[str, Any] = {
        "version": DEFI,
        "costs": Costs(entry=swap, exit=swap, impact=defi_impact()),
        "episode_rows": 288,
        "warm_up": 0,
        "halt_ends": False,
    }
    return EnvConfig(limits, RiskReward(scale=1000.0, pegs=_DEFI_PEGS), **{**usual, **changes})


RWA_START = (0.40, 0.35, 0.25)
"""Weights that an episode starts with."""

_RWA_RISK_FREE = 0.0425  # per year
_RWA_TURNOVER_COST = 0.001  # of the amount moved from one asset to another: half on exit, half on entry
_RWA_PEGS = (Peg(RWA_FEATURES.index("usdy_peg"), 0.995, (0,)), Peg(RWA_FEATURES.index("meth_peg"), 0.98, (1,)))


def rwa_config(limits: Limits | None = None, **changes: Any) -> EnvConfig:
    """Return the episodes of `RwaYield-v0`: three tokenised assets on Mantle, a decision an hour, a month long.

    Parameters
    ----------
    limits
        By default caps of 60 %, no idle floor and a drawdown limit of 15 % under the peak.
    changes
        Other entries of `EnvConfig`.
    """
    if limits is None:
        limits = Limits.uniform(RWA_ASSETS, RWA_MAX, idle_floor=0.0, max_drawdown=0.15, max_growth_rate=_FREE)
    usual: dict[str, Any] = {
        "version": RWA,
        "costs": Costs(entry=0.5 * _RWA_TURNOVER_COST, exit=0.5 * _RWA_TURNOVER_COST),
        "nav": 100_000.0,
        "episode_rows": 720,
        "warm_up": 0,
        "start_weights": RWA_START,
        "deployed_share": 0.0,
    }
    equal = (1.0 / RWA_ASSETS,) * RWA_ASSETS
    reward = RiskReward(scale=200.0, benchmark=equal, risk_free=_RWA_RISK_FREE, risk_aversion=2.0, pegs=_RWA_PEGS)
    return EnvConfig(limits, reward, **{**usual, **changes})


@dataclass(frozen=True)
class EnvPreset:
    """An environment.

    Attributes
    ----------
    name
        Its name in commands.
    env_id
        Its id in Gymnasium.
    market
        Returns the market that paths are drawn from.
    config
        Returns the episodes under the limits given, or under the environment's own.
    """

    name: str
    env_id: str
    market: Callable[[], Market]
    config: Callable[[Limits | None], EnvConfig]


ENVS: dict[str, EnvPreset] = {
    preset.name: preset
    for preset in (
        EnvPreset("lending", "Lending-v0", shipped_market, lending_config),
        EnvPreset("defi", "DefiYield-v0", DefiMarket, defi_config),
        EnvPreset("rwa", "RwaYield-v0", RwaMarket, rwa_config),
    )
}
"""Every environment by its name."""


def env_preset(name: str) -> EnvPreset:
    """Return an environment's preset by its name.

    Raises
    ------
    PresetError
        If there is none of this name.
    """
    if name not in ENVS:
        raise PresetError(f"no environment {name!r}: choose one of {', '.join(ENVS)}")
    return ENVS[name]


def make_env(name: str = "lending", market: Market | None = None, config: EnvConfig | None = None) -> VaultEnv:
    """Return one environment by its name; with another market or other episodes if given."""
    preset = env_preset(name)
    return VaultEnv(preset.market() if market is None else market, preset.config(None) if config is None else config)
