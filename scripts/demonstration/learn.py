"""Training for the demo: the shipped preset, on a market that has not seen the days to come."""

import sys
from dataclasses import dataclass
from pathlib import Path

from agent.market.lending import SyntheticMarket
from agent.policies.network import NumpyPolicy
from agent.vault.limits_file import LimitsFile

PRESET = "demo"


@dataclass(frozen=True)
class Learned:
    """A trained policy and what it took."""

    policy: NumpyPolicy
    path: Path
    seconds: float
    steps: int


def learn(market: SyntheticMarket, limits: LimitsFile, seed: int, seconds: float, out: Path) -> Learned:
    """Train within `seconds`, with a progress bar on a terminal, and export to `out/policy.npz`."""
    # Torch takes seconds to import; whoever gave a wrong option should not wait for it.
    from agent.training.preset import load_preset
    from agent.training.train import train

    preset = load_preset(PRESET, seed=seed, seconds=seconds)
    path, bar = out / "policy.npz", sys.stderr.isatty()
    result = train(preset, limits.limits(), path, market=market, names=limits.names, progress=bar)
    return Learned(result.policy, result.path, result.seconds, result.steps)
