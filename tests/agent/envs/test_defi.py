from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest

from agent.envs import make_env
from agent.envs.engine import Engine
from agent.envs.presets import DEFI_CAP, defi_config, defi_impact
from agent.envs.scalar import VaultEnv
from agent.errors import NotFiniteError
from agent.market.defi import DefiMarket
from agent.market.path import MarketPath
from agent.observation.observe import DEFI_FEATURES, vector_names
from agent.vault.portfolio import Costs
from tests.agent.made_up import OnePath, path_of

RNG = np.random.default_rng
PREPARED = {"dai_peg": 1.0, "usdc_peg": 1.0, "usdt_peg": 1.0}
FREE = Costs(0.0, 0.0)


def quiet(rows: int = 12, **features: float) -> MarketPath:
    """Five venues that pay 3.65 % and whose prices stand still, every five minutes."""
    seen = np.array([features.get(name, PREPARED.get(name, 1.0)) for name in DEFI_FEATURES])
    path = path_of(np.full((rows, 5), 0.0365))
    return replace(
        path,
        timestamps=path.timestamps // 288,
        features=np.tile(seen, (1, rows, 1)),
        feature_names=DEFI_FEATURES,
    )


def engine(path: MarketPath, **changes: Any) -> Engine:
    config = defi_config(**{"costs": FREE, "nav": 1e6, "episode_rows": 10, "deployed_share": 0.0, **changes})
    return Engine(path.part(0, config.path_rows), config, 1, RNG(0))  # no room to begin at another row


def test_defaults__five_minutes_a_day_twenty_numbers_five_shares() -> None:
    env = gymnasium.make("DefiYield-v0").unwrapped
    assert isinstance(env, VaultEnv)
    assert isinstance(env.market, DefiMarket)
    assert (env.market.seconds, env.config.episode_rows) == (300, 288)
    assert env.observation_space.shape == (20,)
    assert env.action_space.shape == (5,)
    assert len(vector_names(env.market.names, env.config.version)) == 20
    assert (env.config.limits.relative_caps == DEFI_CAP).all()


def test_episode__other_step_and_length__by_configuration() -> None:
    env = make_env("defi", DefiMarket(seconds=3600), defi_config(episode_rows=24))
    env.reset(seed=0)
    flags = [env.step(np.zeros(5, dtype=np.float32))[2:4] for _ in range(24)]
    assert flags == [(False, False)] * 23 + [(False, True)]


def test_action__shares_with_the_rest_idle() -> None:
    moved = engine(quiet()).step(np.array([[0.3, 0.2, 0.0, -1.0, 0.1]]))
    assert moved.decision.weights[0] == pytest.approx([0.3, 0.2, 0.0, 0.0, 0.1])
    assert moved.result.state.idle_weight[0] == pytest.approx(0.4, abs=1e-6)


def test_action__changes_below_one_percent__not_traded() -> None:
    env = engine(quiet())
    env.step(np.array([[0.3, 0.2, 0.0, 0.0, 0.1]]))
    moved = env.step(np.array([[0.309, 0.195, 0.02, 0.0, 0.1]]))
    assert moved.decision.traded.tolist() == [[False, False, True, False, False]]


def test_capital__half_lost__terminates_and_is_not_truncated() -> None:
    path = quiet()
    factors = np.ones(path.rates.shape)
    factors[:, 3] = 0.45
    env = VaultEnv(OnePath(replace(path, factors=factors)), engine(path, episode_rows=3).config)
    env.reset(seed=0)
    steps = [env.step(np.ones(5, dtype=np.float32)) for _ in range(3)]
    assert [step[2:4] for step in steps] == [(False, False), (False, False), (True, False)]


def test_drawdown__past_the_limit__exit_to_idle_and_the_episode_goes_on() -> None:
    path = quiet()
    factors = np.ones(path.rates.shape)
    factors[:, 2] = 0.75
    env = engine(replace(path, factors=factors), episode_rows=5, costs=Costs(0.0, 0.0, exit=0.001))
    ends = []
    for _ in range(5):
        moved = env.step(np.ones((1, 5)))
        ends.append((bool(moved.terminated[0]), bool(moved.truncated[0])))
    assert ends == [(False, False)] * 4 + [(False, True)]
    assert moved.result.state.halted[0]
    assert (moved.result.state.assets == 0.0).all()
    assert moved.result.state.idle[0] == pytest.approx(1e6 * (0.02 + 0.98 * 0.75 * 0.999), rel=1e-4)


def test_drawdown__strategies_that_cannot_pay_out__unwound_as_soon_as_they_can() -> None:
    path = quiet()
    factors, liquidity = np.ones(path.rates.shape), np.full(path.rates.shape, np.inf)
    factors[:, 2] = 0.75
    liquidity[:, 2:4, 1] = 10_000.0
    env = engine(replace(path, factors=factors, liquidity=liquidity), episode_rows=5)
    held = [env.step(np.ones((1, 5))).result.state.assets[0, 1] for _ in range(4)]
    assert held[0] > 1e5
    assert held[1] > held[2] > 1e5  # 10,000 at a time
    assert held[3] == 0.0


def test_reward__is_the_log_return_of_net_worth_with_every_cost_once() -> None:
    path = DefiMarket().sample(RNG(3), 1, 40)
    env = Engine(path, defi_config(episode_rows=30), 1, RNG(0))
    actions = RNG(1)
    for _ in range(30):
        before = env.state.net_worth[0]
        moved = env.step(actions.uniform(-1, 1, (1, 5)))
        parts = {name: float(part[0]) for name, part in moved.parts.items()}
        grown = np.log(moved.result.state.net_worth[0] / before)
        assert parts["excess"] + parts["cost"] == pytest.approx(1000 * grown, rel=1e-9)
        assert moved.reward[0] == pytest.approx(sum(parts.values()))
        assert parts["passive"] == 0.0
    assert parts["cost"] < 0


def test_reward__gas__is_money() -> None:
    for nav in (1e6, 1e7):
        env = engine(replace(quiet(), gas_cost=np.full((1, 12), 2e-5)), nav=nav, costs=Costs())
        moved = env.step(np.array([[0.4, 0.0, 0.0, 0.0, 0.0]]))
        assert moved.result.gas[0] == pytest.approx(10.0)  # half a million units
        assert moved.parts["cost"][0] == pytest.approx(-1000 * 10.0 / nav, rel=1e-4)


def test_reward__liquidity__the_impermanent_loss_is_in_the_return_once() -> None:
    path = quiet()
    ratio = 1.44
    factors = np.ones(path.rates.shape)
    factors[:, 1, 0] = np.sqrt(ratio)  # of a pool whose coin gained 44 %
    env = engine(replace(path, rates=path.rates * 0, factors=factors))
    moved = env.step(np.array([[0.4, 0.0, 0.0, 0.0, 0.0]]))
    held = (1 + ratio) / 2 * (2 * np.sqrt(ratio) / (1 + ratio))
    assert moved.reward[0] == pytest.approx(1000 * np.log(1 + 0.4 * (held - 1)), rel=1e-4)


def test_reward__weight_in_a_coin_below_its_peg__penalised() -> None:
    for name, venues in (("dai_peg", (1, 3)), ("usdc_peg", (0, 3, 4)), ("usdt_peg", (2, 3))):
        for venue in range(5):
            moved = engine(quiet(**{name: 0.97})).step(0.4 * np.eye(5)[[venue]])
            assert moved.parts["depeg"][0] == pytest.approx(-0.2 if venue in venues else 0.0, rel=1e-4)
    assert engine(quiet(dai_peg=0.995)).step(np.ones((1, 5))).parts["depeg"][0] == 0.0


def test_costs__venues_with_swaps__a_larger_vault_loses_a_larger_share() -> None:
    swap, impact = defi_config().costs.entry, defi_impact()
    for venue in range(5):
        lost = []
        for nav in (1e5, 1e6, 1e7):
            env = engine(quiet(), costs=replace(defi_config().costs, gas_base=0.0, gas_per_move=0.0), nav=nav)
            moved = env.step(0.4 * np.eye(5)[[venue]])
            share = -np.expm1(moved.parts["cost"][0] / 1000)
            assert share == pytest.approx(
                0.4 * (np.asarray(swap)[venue] + impact[venue] * 0.4 * nav), rel=1e-4, abs=1e-12
            )
            assert 1 - moved.result.state.nav[0] / nav == pytest.approx(share, abs=1e-5)  # but for the interest
            lost.append(share)
        assert (lost[0] < lost[1] < lost[2]) == (venue in (0, 2, 3))


def test_impact__is_what_small_trades_lose_by_the_formulas_of_the_pools() -> None:
    impact, depth = defi_impact(), DefiMarket().parameters["depth"]
    leg = 1e5
    side, half = depth[0] / 2, leg / 2
    bought = side - side**2 / (side + half)  # the product of both sides is constant
    assert impact[0] * leg == pytest.approx((half - bought) / leg, rel=2e-3)

    leg = 1e6
    third = depth[3] / 3
    minted = _invariant([third + leg, third, third]) - depth[3]
    assert impact[3] * leg == pytest.approx((leg - minted) / leg, rel=0.02)
    low, high = third - leg, third - 0.99 * leg  # what is left of USDT when a leg of USDC has come in
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _invariant([third + leg, middle, third]) < depth[3] else (low, middle)
    assert impact[2] * leg == pytest.approx((leg - (third - low)) / leg, rel=0.02)
    assert impact[[1, 4]].tolist() == [0.0, 0.0]
    assert 4 * DEFI_CAP * 1e7 * impact.max() < 1  # a vault of the usual size stays far from losing all of a leg


def _invariant(balances: list[float], amplification: float = 2000.0) -> float:
    """Return D of a StableSwap pool by Newton's method, as Curve's contracts do."""
    count, whole = len(balances), sum(balances)
    found, scale = whole, amplification * len(balances)
    for _ in range(50):
        part = found
        for balance in balances:
            part *= found / (count * balance)
        found = (scale * whole + part * count) * found / ((scale - 1) * found + (count + 1) * part)
    return found


def test_actions__nan__refused() -> None:
    env = engine(quiet())
    with pytest.raises(NotFiniteError):
        env.step(np.array([[0.1, np.nan, 0.1, 0.1, 0.1]]))
