"""The Gymnasium face of the engine: one vault, one episode at a time."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agent.envs.engine import Engine, EnvConfig, Transition
from agent.market.path import Market
from agent.observation.observe import BOUND, vector_size


def action_space(config: EnvConfig) -> spaces.Box:
    """Return the action space: one number per strategy; `agent.policies.actions` maps it to weights."""
    return spaces.Box(-1.0, 1.0, (config.limits.count,), np.float32)


def observation_space(config: EnvConfig) -> spaces.Box:
    """Return the observation space; `agent.observation.observe` defines the numbers."""
    return spaces.Box(-BOUND, BOUND, (vector_size(config.limits.count, config.version),), np.float32)


class VaultEnv(gymnasium.Env[Any, Any]):
    """One vault. Each reset draws a new market path; an episode is truncated at its length, terminated by a halt.

    Parameters
    ----------
    market
        Source of paths.
    config
        Definition of an episode.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own declaration)

    def __init__(self, market: Market, config: EnvConfig) -> None:
        self.market, self.config = market, config
        self.action_space = action_space(config)
        self.observation_space = observation_space(config)
        self._engine: Engine | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode on a new market path; the seed decides everything."""
        super().reset(seed=seed)
        bank = self.market.sample(self.np_random, 1, self.config.path_rows)
        self._engine = Engine(bank, self.config, 1, self.np_random)
        return self._engine.observe().vector()[0].astype(np.float32), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Act for one row of the market."""
        if self._engine is None:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        moved = self._engine.step(np.asarray(action, dtype=np.float64)[None])
        return (
            moved.observation[0].astype(np.float32),
            float(moved.reward[0]),
            bool(moved.terminated[0]),
            bool(moved.truncated[0]),
            step_info(moved, 0),
        )


def step_info(moved: Transition, index: int) -> dict[str, Any]:
    """Return the facts of one vault's step for logs."""
    return {
        "reason": str(moved.decision.reason[index]),
        "nav": float(moved.result.state.nav[index]),
        "gas": float(moved.result.gas[index]),
        "turnover": float(moved.result.turnover[index]),
        "drawdown": float(moved.result.state.drawdown[index]),
        "reward_parts": {name: float(part[index]) for name, part in moved.parts.items()},
    }
