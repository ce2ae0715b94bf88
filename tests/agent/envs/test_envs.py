from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.backtest import Setting, run
from agent.envs import ENVS, EnvConfig, make_env
from agent.envs.engine import Bank, Engine
from agent.envs.presets import lending_config
from agent.envs.scalar import VaultEnv
from agent.envs.vec import VaultVecEnv
from agent.errors import MarketDataError, ObservationError, PresetError, ShapeError
from agent.market.lending import SyntheticMarket
from agent.market.path import MarketPath
from agent.observation.observe import CHAIN, DEFI, RWA, version_of
from agent.policies.load import load_policy
from agent.vault.bucket import UNBOUNDED, Budget
from agent.vault.decision import Reason
from agent.vault.limits import Limits
from agent.vault.limits_file import load_limits
from agent.vault.portfolio import Costs
from tests.agent.made_up import OnePath, path_of

FREE = Costs(0.0, 0.0)


def _config(limits: Limits, **changes: Any) -> EnvConfig:
    plain = {"costs": FREE, "episode_rows": 10, "warm_up": 0, "deployed_share": 0.0, "concentration_price": 0.0}
    return lending_config(limits, **{**plain, **changes})


def test_vec_env__sb3_contract__shapes_types_and_restart(market: SyntheticMarket, limits: Limits) -> None:
    env = VaultVecEnv(market, _config(limits), 8, np.random.default_rng(0), bank_paths=4, bank_rows=40)
    first = env.reset()
    assert first.dtype == np.float32
    assert all(env.observation_space.contains(row) for row in first)
    for step in range(1, 21):
        observation, reward, done, infos = env.step(np.zeros((8, 3), dtype=np.float32))
        assert (observation.shape, reward.shape, done.shape) == (first.shape, (8,), (8,))
        assert (reward.dtype, done.dtype) == (np.float32, np.bool_)
        assert done.all() == (step % 10 == 0)
    assert all(info["TimeLimit.truncated"] is True and info["episode"]["l"] == 10 for info in infos)
    assert not np.array_equal(infos[0]["terminal_observation"], observation[0])
    assert np.allclose(observation[:, 3], 1.0)  # started anew, all idle


def _rich_bank(version: str, config: EnvConfig) -> MarketPath:
    """Paths with everything that a path can have."""
    rng, count = np.random.default_rng(5), config.limits.count
    names = version_of(version).features
    shape = (6, config.path_rows, count)
    return replace(
        path_of(rng.uniform(0, 0.2, shape), gas=1e-6),
        factors=rng.uniform(0.99, 1.01, shape),
        earned=rng.uniform(0, 0.2, shape),
        depth=10 ** rng.uniform(6, 9, shape),
        liquidity=10 ** rng.uniform(5, 9, shape),
        features=rng.uniform(0.5, 1.5, (*shape[:2], len(names))) if names else None,
        feature_names=names,
    )


@pytest.mark.parametrize("version", [CHAIN, DEFI, RWA])
def test_scalar_and_batched__same_path_and_actions__same_trajectory(version: str) -> None:
    limits = Limits.uniform(5 if version == DEFI else 3, loss_budget=Budget(0.01, 0.001))
    config = _config(
        limits,
        version=version,
        costs=Costs(exit=0.0005, impact=1e-9),
        nav=(1e5, 1e8),
        leg_cost=(1e-5, 1e-2),
        episode_rows=30,
    )
    bank = _rich_bank(version, config)
    batched = Engine(bank, config, 32, np.random.default_rng(1))
    scalars = []
    for i, path in enumerate(batched._path):
        leg = float(batched._leg_cost[i, 0])
        costs = Costs(entry=leg, exit=0.0005 + leg, impact=1e-9)
        alone = replace(config, costs=costs, nav=float(batched.state.nav[i]), leg_cost=None)
        scalars.append(VaultEnv(OnePath(bank.take(path[None])), alone))
    assert _step_together(batched, scalars, config.episode_rows) > 0  # liquidity did bind


@pytest.mark.parametrize("name", ENVS)
def test_scalar_and_batched__own_market__same_trajectory(name: str) -> None:
    preset = ENVS[name]
    config = replace(preset.config(None), deployed_share=0.0, warm_up=0, episode_rows=50)
    bank = preset.market().sample(np.random.default_rng(4), 8, config.path_rows)
    batched = Engine(bank, config, 16, np.random.default_rng(5))
    _step_together(batched, [VaultEnv(OnePath(bank.take(path[None])), config) for path in batched._path], 50)


def _step_together(batched: Engine, scalars: list[VaultEnv], steps: int) -> int:
    """Compare every step of the batch with those of single environments; return how many rebalances were refused."""
    first = np.array([env.reset(seed=0)[0] for env in scalars])
    assert np.array_equal(batched.observe().vector().astype(np.float32), first)
    actions, refused = np.random.default_rng(2), 0
    for _ in range(steps):
        chosen = actions.uniform(-1, 1, (len(scalars), batched.config.limits.count))
        moved = batched.step(chosen)
        refused += int(moved.result.refused.sum())
        for i, env in enumerate(scalars):
            observation, reward, terminated, truncated, info = env.step(chosen[i])
            assert np.array_equal(observation, moved.observation[i].astype(np.float32))
            assert (reward, terminated, truncated) == (moved.reward[i], moved.terminated[i], moved.truncated[i])
            assert info["nav"] == moved.result.state.nav[i]
    return refused


@pytest.mark.parametrize("size", [1.0, 1e3, 1e30, np.inf])
@pytest.mark.parametrize("name", ENVS)
def test_actions__however_extreme__feasible(name: str, size: float) -> None:
    config = ENVS[name].config(None)
    limits = config.limits
    engine = Engine(
        ENVS[name].market().sample(np.random.default_rng(0), 32, config.path_rows), config, 32, np.random.default_rng(1)
    )
    actions = np.random.default_rng(2)
    for _ in range(60):
        moved = engine.step(actions.choice([-size, -1e-9, 0.0, 1e-9, size], (32, limits.count)))
        weights, sent = moved.decision.weights, moved.decision.traded.any(-1) & ~moved.terminated
        assert (weights >= 0).all()
        assert (weights[sent] <= limits.relative_caps).all()  # where nothing is sent, positions have drifted
        assert (weights[sent].sum(-1) <= 1 - limits.idle_floor + 1e-12).all()
        assert (np.abs(moved.observation) <= 3).all()
        if name == "rwa":  # held positions may have drifted by less than the smallest trade
            assert (weights[moved.decision.traded] >= 0.05 - 1e-2).all()


def test_bank__each_vault_at_a_row_of_its_own__finds_the_row_of_its_path() -> None:
    path = _rich_bank(RWA, _config(Limits.uniform(3)))
    path = replace(path, surprises=path.rates - 0.1)
    paths, rows = np.array([0, 5, 2]), np.array([0, 9, 4])
    found = Bank(path).at(paths, rows)
    for name, values in vars(found).items():
        if name == "seconds":
            assert values == path.row(0).seconds
            continue
        for vault, (index, row) in enumerate(zip(paths, rows, strict=True)):
            assert np.array_equal(values[vault], getattr(path.row(row), name)[index]), name


def test_engine__ranges_of_nav_and_costs__drawn_anew_for_every_episode(market: SyntheticMarket, limits: Limits) -> None:
    config = _config(limits, nav=(1e4, 1e8), leg_cost=(1e-5, 1e-2), start_weights=(0.4, 0.35, 0.2))
    engine = Engine(market.sample(np.random.default_rng(0), 4, 40), config, 500, np.random.default_rng(1))
    first = engine.observe()
    for drawn, low, high in ((engine.state.nav, 1e4, 1e8), (first.move_cost / 2, 1e-5, 1e-2)):
        assert low <= drawn.min() < 1.1 * low
        assert 0.9 * high < drawn.max() <= high
        assert np.log(drawn).mean() == pytest.approx(np.log([low, high]).mean(), abs=0.5)
    assert np.allclose(first.weights, [0.4, 0.35, 0.2])
    assert np.allclose(first.idle, 0.05)
    some = np.arange(500) < 250
    engine.reset(some)
    again = engine.observe()
    assert (again.move_cost[250:] == first.move_cost[250:]).all()
    assert (again.move_cost[:250] != first.move_cost[:250]).all()
    moved = engine.step(np.tile([1.0, -1.0, -1.0], (500, 1)))
    lost = 1 - moved.result.state.nav / engine._opening_nav
    assert np.corrcoef(lost, again.move_cost)[0, 1] > 0.99  # and it is the vault's own cost that it pays


def test_engine__ruin__is_a_share_of_the_episodes_own_assets(limits: Limits) -> None:
    factors = np.ones((14, 3))
    factors[2] = 0.3
    loose = replace(limits, max_drawdown=1.0)
    path = path_of(np.full((14, 3), 0.02), factors=factors)
    engine = Engine(path, _config(loose, nav=(1e4, 1e8), episode_rows=5), 8, np.random.default_rng(0))
    ends = [engine.step(np.zeros((8, 3))).terminated for _ in range(2)]
    rows = engine._row - 2  # where each began
    assert np.array_equal(ends[-1], (rows == 0) | (rows == 1))
    assert 0 < ends[-1].sum() < 8


def test_engine__some_episodes_start_anew__the_others_keep_what_is_recorded() -> None:
    limits = Limits.uniform(3, max_growth_rate=0.25)
    config = _config(limits, episode_rows=10)
    engine = Engine(path_of(np.full((4, 40, 3), 3.0)), config, 6, np.random.default_rng(0))  # 300 % a year
    for _ in range(3):
        engine.step(np.ones((6, 3)))
    before, anew = engine.state, np.arange(6) % 2 == 0
    assert (before.bid < before.nav).all()
    engine.reset(anew)
    assert np.array_equal(engine.state.bid[anew], engine.state.nav[anew])
    assert np.array_equal(engine.state.bid[~anew], before.bid[~anew])
    engine.step(np.ones((6, 3)))
    assert np.allclose(engine.state.share_price[anew], 1 + 0.98 * 0.25 / 365, rtol=1e-7)


def test_engine__impossible_configuration__refused(market: SyntheticMarket, limits: Limits) -> None:
    for wrong in ({"nav": (0.0, 1.0)}, {"leg_cost": (1e-3, 1e-4)}, {"start_weights": (0.5, 0.5)}):
        with pytest.raises(ShapeError):
            _config(limits, **wrong)
    path = market.sample(np.random.default_rng(0), 2, 40)
    with pytest.raises(ObservationError, match="needs a market with the features"):
        Engine(path, _config(limits, version=RWA), 1, np.random.default_rng(0))
    with pytest.raises(PresetError, match="lending"):
        make_env("landing")


def test_reward__is_the_sum_of_its_parts(market: SyntheticMarket, limits: Limits) -> None:
    config = _config(limits, concentration_price=0.5)
    engine = Engine(market.sample(np.random.default_rng(0), 4, 40), config, 16, np.random.default_rng(1))
    moved = engine.step(np.random.default_rng(2).uniform(-1, 1, (16, 3)))
    assert set(moved.parts) == {"growth", "concentration"}
    assert np.array_equal(moved.reward, moved.parts["growth"] + moved.parts["concentration"])
    assert moved.parts["concentration"] == pytest.approx(
        -0.5 * ((moved.decision.weights**2).sum(-1) - 0.98**2 / 3), rel=1e-12
    )


def test_fault_1_look_ahead__memory_without_skill_earns_nothing(
    rng: np.random.Generator, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rates without memory: following the best rate shown gains nothing, unless the row that was shown is paid."""
    path = path_of(rng.exponential(0.05, (40, 400, 3)))
    setting = Setting(limits, costs=FREE)

    def edge() -> np.ndarray:
        greedy, equal = (run(load_policy(name), path, setting).annual_return for name in ("greedy", "equal-weight"))
        return np.asarray(greedy - equal)

    honest = edge()
    assert abs(honest.mean()) < 4 * honest.std() / np.sqrt(len(honest)) + 1e-4
    # The fault put back:
    monkeypatch.setattr(MarketPath, "growth", lambda self, decisions: 1 + self.rates[:, :-1][:, decisions] / 365)
    assert edge().mean() > 0.02


def test_fault_1_look_ahead__step_pays_the_row_that_was_not_shown(limits: Limits) -> None:
    rates = np.full((12, 3), 0.0)
    rates[0] = [0.5, 0.0, 0.0]  # shown at the decision
    rates[1] = [0.0, 0.365, 0.0]  # paid after it
    config = _config(limits)
    engine = Engine(path_of(rates[: config.path_rows]), config, 1, np.random.default_rng(0))
    assert engine.observe().rates.tolist() == [[0.5, 0.0, 0.0]]
    moved = engine.step(np.array([[1.0, -1.0, -1.0]]))
    weights = moved.decision.weights[0]
    assert moved.result.state.nav[0] == pytest.approx(config.nav * (1 + weights[1] * 0.001), rel=1e-12)


def test_fault_3_vec_halt__restarts_with_the_flag_of_a_termination(limits: Limits) -> None:
    factors = np.ones((14, 3))
    factors[2] = 0.5
    market = OnePath(path_of(np.full((14, 3), 0.02), factors=factors))
    env = VaultVecEnv(market, _config(limits), 2, np.random.default_rng(0), bank_paths=1, bank_rows=11)
    env.reset()
    env.step(np.zeros((2, 3)))
    _, _, done, infos = env.step(np.zeros((2, 3)))
    assert done.all()
    assert infos[0]["TimeLimit.truncated"] is False


def test_fault_8_seeding__seed_decides_everything_and_nothing_global(market: SyntheticMarket, limits: Limits) -> None:
    def play(seed: int) -> np.ndarray:
        env = VaultVecEnv(market, _config(limits), 4, np.random.default_rng(seed), bank_paths=8, bank_rows=60)
        return np.concatenate([env.reset(), *(env.step(np.zeros((4, 3)))[0] for _ in range(15))])

    np.random.seed(0)  # noqa: NPY002
    one = play(1)
    np.random.seed(99)  # noqa: NPY002
    assert np.array_equal(one, play(1))
    assert not np.array_equal(one, play(2))


def test_episodes__start_at_random_rows_of_random_paths_with_warm_means(
    market: SyntheticMarket, limits: Limits
) -> None:
    config = lending_config(limits, episode_rows=10, warm_up=20)
    bank = market.sample(np.random.default_rng(0), 16, 100)
    engine = Engine(bank, config, 400, np.random.default_rng(1))
    assert len(np.unique(engine._path)) == 16
    assert engine._row.min() < 10
    assert engine._row.max() == 100 - 10 - 1  # the last row an episode fits behind
    observation = engine.observe()
    assert 0.3 < (observation.weights.sum(-1) > 0).mean() < 0.7
    assert (observation.fast != observation.rates).any(-1).mean() > 0.9


def test_engine__market_that_does_not_fit__refused(market: SyntheticMarket, limits: Limits) -> None:
    path = market.sample(np.random.default_rng(0), 2, 20)
    with pytest.raises(MarketDataError, match="too short"):
        Engine(path, lending_config(limits), 1, np.random.default_rng(0))
    with pytest.raises(ShapeError):
        Engine(path, lending_config(Limits.uniform(4), episode_rows=5), 1, np.random.default_rng(0))


def test_reward__order_one_in_calm_and_wild_markets(market: SyntheticMarket, limits: Limits) -> None:
    path = market.sample(np.random.default_rng(0), 32, 100)
    deviations = []
    for factor in (0.1, 1.0):
        scaled = MarketPath(path.timestamps, path.rates * factor, path.gas_cost, path.names)
        engine = Engine(scaled, lending_config(limits, episode_rows=90, warm_up=5), 64, np.random.default_rng(0))
        actions = np.random.default_rng(1)
        rewards = np.array([engine.step(actions.uniform(-1, 1, (64, 3))).reward for _ in range(60)])
        deviations.append(rewards.std())
    assert all(0.03 < deviation < 3 for deviation in deviations)


def test_engine__tight_budgets__nothing_decided_is_ever_refused(market: SyntheticMarket) -> None:
    limits = Limits.uniform(
        3, cooldown=100_000.0, turnover_budget=Budget(0.6, 0.004), loss_budget=Budget(0.001, 0.0001)
    )
    costs = Costs(0.0, 0.0, entry=0.0005, exit=0.0005)
    config = _config(limits, costs=costs, deployed_share=0.5, episode_rows=40)
    engine = Engine(market.sample(np.random.default_rng(1), 4, 60), config, 32, np.random.default_rng(2))
    actions, seen = np.random.default_rng(3), set()
    for _ in range(40):
        moved = engine.step(actions.uniform(-1, 1, (32, 3)))
        assert not moved.result.refused.any()
        seen |= set(moved.decision.reason)
    assert {Reason.TRADE, Reason.CUT, Reason.COOLDOWN, Reason.TURNOVER} <= seen


def test_engine__budgets_of_the_shipped_limits__change_nothing(market: SyntheticMarket) -> None:
    def rewards(limits: Limits) -> list[list[float]]:
        bank = market.sample(np.random.default_rng(1), 4, 60)
        engine = Engine(bank, _config(limits, episode_rows=40), 8, np.random.default_rng(2))
        actions = np.random.default_rng(3)
        return [engine.step(actions.uniform(-1, 1, (8, 3))).reward.tolist() for _ in range(40)]

    shipped = load_limits(Path(__file__).parents[3] / "scripts" / "limits.toml").limits()
    unbounded = replace(shipped, cooldown=0.0, turnover_budget=UNBOUNDED, loss_budget=UNBOUNDED)
    assert rewards(shipped) == rewards(unbounded)
