"""Every environment by its name: which market, and what an episode is. Training, bench and commands choose here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.envs.defi import defi_config
from agent.envs.engine import EnvConfig
from agent.envs.lending import lending_config
from agent.envs.rwa import rwa_config
from agent.envs.scalar import VaultEnv
from agent.errors import PresetError
from agent.market.defi import DefiMarket
from agent.market.path import Market
from agent.market.rwa import RwaMarket
from agent.market.synthetic import shipped_market
from agent.vault.limits import Limits


@dataclass(frozen=True)
class EnvPreset:
    """An environment.

    Attributes
    ----------
    name
        What commands call it.
    env_id
        What Gymnasium calls it.
    market
        Returns the market that paths are drawn from.
    config
        Returns what an episode is under the limits given, or under the environment's own.
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
    """Return one environment by its name; on another market or of other episodes if given."""
    preset = env_preset(name)
    return VaultEnv(preset.market() if market is None else market, preset.config(None) if config is None else config)
