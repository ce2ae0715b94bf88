"""`Lending-v0`: one vault over lending markets, one decision a day, as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agent.envs.engine import Engine, EnvConfig, Transition
from agent.limits import Limits
from agent.market.path import Market
from agent.market.synthetic import shipped_market
from agent.observation import vector_size


def action_space(count: int) -> spaces.Box:
    """Return the action space for `count` strategies; `agent.actions` says what an action means."""
    return spaces.Box(-1.0, 1.0, (count,), np.float32)


def observation_space(count: int) -> spaces.Box:
    """Return the observation space for `count` strategies; `agent.observation` says what the numbers mean."""
    return spaces.Box(-3.0, 3.0, (vector_size(count),), np.float32)


class LendingEnv(gymnasium.Env[Any, Any]):
    """One vault. Each reset draws a new market path; an episode is truncated at its length, terminated by a halt.

    Parameters
    ----------
    market
        Where paths come from; the shipped synthetic market by default.
    config
        What an episode is; caps of 60 % and an idle floor of 2 % by default.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own declaration)

    def __init__(self, market: Market | None = None, config: EnvConfig | None = None) -> None:
        self.market = shipped_market() if market is None else market
        count = len(self.market.names)
        self.config = EnvConfig(Limits.uniform(count)) if config is None else config
        self.action_space = action_space(count)
        self.observation_space = observation_space(count)
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
        """Act for one day."""
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
    """Return what a reader of logs wants to know about one vault's step."""
    return {
        "reason": str(moved.decision.reason[index]),
        "nav": float(moved.result.state.nav[index]),
        "gas": float(moved.result.gas[index]),
        "turnover": float(moved.result.turnover[index]),
        "drawdown": float(moved.result.state.drawdown[index]),
    }
