from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest

from agent.envs.engine import Engine
from agent.envs.presets import RWA_START, rwa_config
from agent.envs.scalar import VaultEnv
from agent.market.path import MarketPath
from agent.market.rwa import Choices, RwaMarket
from agent.observation.observe import RWA_FEATURES, vector_names
from agent.units import YEAR
from agent.vault.portfolio import Costs
from tests.agent.made_up import OnePath, path_of

RNG = np.random.default_rng


def quiet(rows: int = 12, **features: float) -> MarketPath:
    """Three assets that pay nothing and whose prices stand still, every hour."""
    seen = np.array([features.get(name, 1.0) for name in RWA_FEATURES])
    path = path_of(np.zeros((rows, 3)))
    return replace(
        path, timestamps=path.timestamps // 24, features=np.tile(seen, (1, rows, 1)), feature_names=RWA_FEATURES
    )


def engine(path: MarketPath, **changes: Any) -> Engine:
    config = rwa_config(**{"episode_rows": 10, **changes})
    return Engine(path.part(0, config.path_rows), config, 1, RNG(0))  # no room to begin at another row


def test_defaults__an_hour_a_month_eighteen_numbers_three_logits() -> None:
    env = gymnasium.make("RwaYield-v0").unwrapped
    assert isinstance(env, VaultEnv)
    assert isinstance(env.market, RwaMarket)
    assert (env.market.seconds, env.config.episode_rows) == (3600, 720)
    assert env.observation_space.shape == (18,)
    assert env.action_space.shape == (3,)
    assert len(vector_names(env.market.names, env.config.version)) == 18


def test_start__weights_and_capital_as_given() -> None:
    env = VaultEnv(RwaMarket(), rwa_config())
    seen, _ = env.reset(seed=3)
    assert seen[-3:] == pytest.approx(RWA_START)
    assert env._engine is not None
    assert env._engine.state.nav[0] == pytest.approx(100_000.0)


@pytest.mark.parametrize(("fall", "ends"), [(0.86, False), (0.84, True)])
def test_drawdown__past_fifteen_percent_of_the_peak__terminates(fall: float, ends: bool) -> None:
    factors = np.ones((1, 12, 3))
    factors[:, 1] = 1.3  # the peak is 30 % above the start
    factors[:, 2] = fall
    env = VaultEnv(OnePath(replace(quiet(), factors=factors)), rwa_config(episode_rows=3))
    env.reset(seed=0)
    steps = [env.step(np.zeros(3, dtype=np.float32)) for _ in range(2)]
    assert [step[2:4] for step in steps] == [(False, False), (ends, False)]


def test_cost__ten_basis_points_of_the_turnover_once() -> None:
    env = engine(quiet(), costs=replace(rwa_config().costs, gas_base=0.0, gas_per_move=0.0))
    moved = env.step(np.array([[1.0, -1.0, -1.0]]))
    assert moved.decision.weights[0] == pytest.approx([0.6, 0.2, 0.2], abs=1e-4)
    assert moved.result.turnover[0] == pytest.approx(0.2, abs=1e-4)
    lost = 100_000 - moved.result.state.nav[0]
    assert lost == pytest.approx(100_000 * 0.2 * 0.001, rel=1e-3)
    assert moved.parts["cost"][0] == pytest.approx(200 * np.log(1 - lost / 100_000), rel=1e-3)


def test_threshold__changes_below_one_percent__not_traded() -> None:
    env = engine(quiet(), start_weights=(1 / 3, 1 / 3, 1 / 3))
    assert not env.step(np.array([[0.01, -0.01, 0.0]])).decision.traded.any()


def test_reward__log_return_over_the_risk_free_rate_and_the_equal_mix() -> None:
    path = RwaMarket(Choices(depegs_per_year=(0.0, 0.0))).sample(RNG(3), 1, 40)
    assert path.factors is not None
    env = Engine(path, rwa_config(episode_rows=30), 1, RNG(0))
    actions = RNG(1)
    for _ in range(30):
        row = int(env._row[0])
        before = env.state.net_worth[0]
        moved = env.step(actions.uniform(-1, 1, (1, 3)))
        parts = {name: float(part[0]) for name, part in moved.parts.items()}
        grown = np.log(moved.result.state.net_worth[0] / before)
        free = 0.0425 * 3600 / YEAR
        assert parts["excess"] + parts["cost"] == pytest.approx(200 * (grown - free), rel=1e-9)
        each = (1 + path.rates[0, row + 1] * 3600 / YEAR) * path.factors[0, row + 1]
        assert parts["passive"] == pytest.approx(-200 * (np.log(each.mean()) - free), rel=1e-9)
        assert parts["risk"] == pytest.approx(-200 * grown**2, rel=1e-9)
        assert moved.reward[0] == pytest.approx(sum(parts.values()), abs=1e-12)


def test_reward__weight_held_below_the_peg__penalised() -> None:
    flat = np.zeros((1, 3))
    for features, asset in (({"usdy_peg": 0.994}, 0), ({"meth_peg": 0.979}, 1)):
        moved = engine(quiet(**features), start_weights=(1 / 3,) * 3).step(flat)
        assert moved.parts["depeg"][0] == pytest.approx(-0.5 * moved.decision.weights[0, asset])
    fine = engine(quiet(usdy_peg=0.996, meth_peg=0.985)).step(flat)
    assert fine.parts["depeg"][0] == 0.0


def test_reward__drawdown__penalised() -> None:
    factors = np.full((1, 12, 3), 1.0)
    factors[:, 1] = 0.9
    moved = engine(replace(quiet(), factors=factors), costs=Costs(0.0, 0.0)).step(np.zeros((1, 3)))
    assert moved.parts["drawdown"][0] == pytest.approx(-0.1 * 0.1, rel=1e-3)
