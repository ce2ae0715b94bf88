"""The whole chain learns what there is to learn, and nothing where there is nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.envs import presets
from agent.envs.engine import EnvConfig
from agent.envs.reward import LendingReward
from agent.market.path import MarketPath
from agent.observation.observe import RWA, RWA_FEATURES
from agent.training.preset import Preset
from agent.training.train import TrainingResult, train
from agent.units import DAY
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs

pytestmark = pytest.mark.slow

NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class NoEdge:
    """Rates that are drawn anew every day, for all strategies alike; features that know tomorrow's, or another's."""

    foresight: bool = False
    names: tuple[str, ...] = NAMES

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
        rates, others = (rng.uniform(0.0, 0.1, (batch, length, 3)) for _ in range(2))
        features = np.full((batch, length, len(RWA_FEATURES)), 0.5)
        columns = [RWA_FEATURES.index(name) for name in ("fed_funds", "usdy_lending", "meth_lending")]
        features[..., columns] = np.roll(rates, -1, axis=1) if self.foresight else others
        return MarketPath(
            timestamps=DAY * np.arange(length, dtype=np.int64),
            rates=rates,
            gas_cost=np.zeros((batch, length)),
            names=self.names,
            features=features,
            feature_names=RWA_FEATURES,
        )


def _run(out: Path, market: NoEdge, **changes: Any) -> TrainingResult:
    preset: dict[str, Any] = {
        "name": "learns",
        "seconds": 1e6,
        "steps": 60_000,
        "env": {"preset": "made-up"},
        "ppo": {"envs": 128, "n_steps": 16, "batch_size": 512, "gamma": 0.5, "hidden": [32, 32], "learning_rate": 3e-3},
        "market": {"bank_paths": 128, "bank_rows": 200},
        "evaluation": {"paths": 32, "every_steps": 15_000, "test_paths": 32, "test_rows": 100},
    }
    return train(Preset.model_validate({**preset, **changes}), None, out / "policy.npz", market=market)


def _of(result: TrainingResult, policy: str) -> dict[str, Any]:
    return next(entry for entry in result.evaluation if entry["policy"] == policy)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make an environment of this name and configuration known."""

    def add(**changes: Any) -> None:
        def config(limits: Limits | None) -> EnvConfig:
            walls = Limits.uniform(3, idle_floor=0.0) if limits is None else limits
            usual: dict[str, Any] = {"episode_rows": 30, "warm_up": 0, "costs": Costs(0.0, 0.0)}
            return EnvConfig(walls, LendingReward(0.0, 0.0), **{**usual, **changes})

        made_up = presets.EnvPreset("made-up", "MadeUp-v0", NoEdge, config)
        monkeypatch.setitem(presets.ENVS, "made-up", made_up)

    return add


def test_perfect_foresight__makes_the_agent_better__and_nothing_else_does(environment: Any, tmp_path: Path) -> None:
    environment(version=RWA)
    knows, guesses = (_run(tmp_path, NoEdge(foresight=foresight)) for foresight in (True, False))
    # The best of three uniform rates is 7.5 % in the mean, any fixed mix 5 %: 60 % in the best, the rest in the others.
    assert float(_of(knows, "ppo")["annual_return"]) > 0.062
    assert float(_of(guesses, "ppo")["annual_return"]) == pytest.approx(0.051, abs=0.002)


def test_zero_edge_with_costs__learns_to_stay_put(environment: Any, tmp_path: Path) -> None:
    environment(costs=Costs(0.0, 0.0, entry=0.0005, exit=0.0005))
    imitating = {"warm_start": {"rule": "greedy", "rows": 100}}
    before = _run(tmp_path, NoEdge(), **imitating, steps=1)
    after = _run(tmp_path, NoEdge(), **imitating)
    assert float(_of(before, "ppo")["turnover_per_year"]) > 50  # it begins by running after every rate
    assert float(_of(after, "ppo")["turnover_per_year"]) < 0.1 * float(_of(before, "ppo")["turnover_per_year"])
    assert float(_of(after, "ppo")["annual_return"]) > float(_of(before, "ppo")["annual_return"]) + 0.01
