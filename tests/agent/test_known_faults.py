"""The known faults of such environments, one test or more per fault, each failing when the fault is put back.

Fault 13 (prices averaged over sources with no age or outlier rule) belongs to price feeds, of which there are none yet:
the only price that money is weighed by, that of gas, is one configured number, or that of the market's own row. The
tests see that this one number is used as it is, and that an absent one is refused.
"""

from __future__ import annotations

import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env as sb3_check

from agent.backtest import Setting, run
from agent.envs import ENVS
from agent.envs.engine import Engine, EnvConfig
from agent.envs.presets import rwa_config
from agent.envs.scalar import VaultEnv
from agent.errors import NotFiniteError, PolicyError
from agent.evaluation.metrics import sharpe
from agent.market.defi import DefiMarket
from agent.market.lending import shipped_market
from agent.market.path import MarketPath
from agent.market.rwa import Choices, RwaMarket
from agent.observation.memory import RateMemory
from agent.observation.observe import RWA_FEATURES, observe, vector_size, version_of
from agent.policies.actions import to_weights
from agent.policies.files import save_policy
from agent.policies.load import load_policy
from agent.training.preset import load_preset
from agent.training.train import train
from agent.units import DAY
from agent.vault.decision import DecisionRules, Reason, decide
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, MarketRow, PortfolioState, step
from agent.vault.projection import project_between
from tests.agent.made_up import OnePath, path_of

RNG = np.random.default_rng
FREE = Costs(0.0, 0.0)
OPEN = Limits.uniform(3, 1.0, idle_floor=0.0, max_drawdown=1.0)


def _bare(version: str, path: MarketPath) -> MarketPath:
    """Return the path with the features that the version needs, all one."""
    names = version_of(version).features
    ones = np.ones((path.batch, path.length, len(names)))
    return replace(path, features=ones if names else None, feature_names=names)


def _config(name: str, **changes: object) -> EnvConfig:
    """Return an environment's own episode, but short, free of costs and begun all idle."""
    short = {"costs": FREE, "episode_rows": 40, "warm_up": 0, "deployed_share": 0.0, "start_weights": None}
    return replace(ENVS[name].config(None), **{**short, **changes})


# 1


@pytest.mark.parametrize("name", ENVS)
def test_fault_01_look_ahead__following_the_last_row_of_independent_rates_earns_nothing(name: str) -> None:
    config = _config(name)
    count = config.limits.count
    bank = _bare(config.version, path_of(RNG(0).exponential(0.05, (400, 41, count))))

    def wealth(skilful: bool) -> np.ndarray:
        engine = Engine(bank, config, 400, RNG(1))
        for _ in range(config.episode_rows):
            rates = engine.observe().rates
            best = np.where(rates == rates.max(-1, keepdims=True), 1.0, 0.3)  # all that may be is deployed
            engine.step(best if skilful else np.full_like(best, 0.5))
        return np.log(engine.state.nav / config.nav)

    edge = wealth(True) - wealth(False)
    assert abs(edge.mean()) < 4 * edge.std() / np.sqrt(len(edge)) + 1e-5


def test_fault_01_look_ahead__following_the_last_move_of_prices_earns_nothing() -> None:
    """The largest move before the row that is seen tells nothing of the next: the market pays the next."""
    path = RwaMarket(Choices(depegs_per_year=(0.0, 0.0))).sample(RNG(2), 400, 121)
    assert path.factors is not None
    last = path.factors[:, :, :]

    class Momentum:
        name, digest = "momentum", "0x00"

        def __init__(self) -> None:
            self.row = 0

        def act(self, seen: object) -> np.ndarray:
            best = last[:, self.row] == last[:, self.row].max(-1, keepdims=True)
            self.row += 1
            return np.where(best, 1.0, 0.0)

    setting = Setting(Limits.uniform(3, 0.6, max_drawdown=1.0), costs=FREE, version="rwa-1")
    edge = run(Momentum(), path, setting).log_returns.sum(1) - run(
        load_policy("equal-weight"), path, setting
    ).log_returns.sum(1)
    assert abs(edge.mean()) < 4 * edge.std() / np.sqrt(len(edge))


# 2


def test_fault_02_clip_then_renormalise__extreme_actions_stay_under_the_cap() -> None:
    assert to_weights("rwa-1", np.array([[1.0, -1.0, -1.0]]))[0] == pytest.approx([0.6, 0.2, 0.2], abs=1e-12)
    one = Limits.uniform(5, 0.4).project(np.array([[1.0, 0.0, 0.0, 0.0, 0.0]]), np.ones(1))
    assert one[0].tolist() == [0.4, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ENVS)
def test_fault_02_clip_then_renormalise__no_random_action_breaks_a_cap(name: str) -> None:
    config = _config(name)
    limits, count = config.limits, config.limits.count
    actions = RNG(3).uniform(-1, 1, (20_000, count))
    decision = decide(
        to_weights(config.version, actions), np.zeros_like(actions), np.ones(20_000), 0.0, limits, FREE, config.rules
    )
    assert (decision.weights <= limits.relative_caps).all()
    assert (decision.weights.sum(-1) <= 1 - limits.idle_floor).all()


def test_fault_02_projection__no_admissible_weights_are_nearer() -> None:
    rng = RNG(4)
    wanted = rng.normal(0.4, 0.6, (300, 3))
    low, high = np.asarray(0.05), np.asarray(0.6)
    nearest = project_between(wanted, low, high, np.asarray(1.0))
    others = rng.dirichlet(np.ones(3), 20_000)
    others = others[((others >= low) & (others <= high)).all(-1)]
    gap = ((wanted[:, None] - others) ** 2).sum(-1).min(1) - ((wanted - nearest) ** 2).sum(-1)
    assert (gap > -1e-12).all()


# 3


@pytest.mark.parametrize("name", ENVS)
def test_fault_03_flags__both_checkers_pass_and_length_truncates(name: str) -> None:
    env = gymnasium.make(ENVS[name].env_id).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gymnasium_check(env, skip_render_check=True)
        sb3_check(env)
    short = VaultEnv(ENVS[name].market(), replace(ENVS[name].config(None), episode_rows=2, warm_up=0))
    short.reset(seed=1)
    flags = [short.step(np.zeros(short.config.limits.count, dtype=np.float32))[2:4] for _ in range(2)]
    assert flags == [(False, False), (False, True)]
    assert all(type(flag) is bool for pair in flags for flag in pair)


@pytest.mark.parametrize("name", ENVS)
def test_fault_03_flags__loss_terminates_and_does_not_truncate(name: str) -> None:
    config = _config(name, episode_rows=2)
    factors = np.ones((3, config.limits.count))
    factors[2] = 0.4  # in the last row: both could be said of it
    path = _bare(config.version, path_of(np.zeros_like(factors), factors=factors))
    env = VaultEnv(OnePath(path), config)
    env.reset(seed=1)
    flags = [env.step(np.ones(config.limits.count, dtype=np.float32))[2:4] for _ in range(2)]
    assert flags == [(False, False), (True, False)]


# 4


def test_fault_04_rate_change_as_return__a_rate_that_doubles_moves_no_price() -> None:
    rates = np.full((3, 3), 0.05)
    rates[1:, 2] = 0.10
    engine = Engine(_bare("rwa-1", path_of(rates)), _config("rwa", episode_rows=2), 1, RNG(0))
    nav = [engine.step(np.array([[-1.0, -1.0, 1.0]])).result.state.nav[0] for _ in range(2)]
    assert nav[-1] / 1e5 - 1 < 2 * 0.11 / 365  # two days of interest, no gain of 100 %


def test_fault_04_rate_change_as_return__mi4_has_a_price_of_its_own_and_gains_nothing_from_its_rate() -> None:
    path = RwaMarket().sample(RNG(5), 300, 721)
    assert path.factors is not None
    price = np.log(path.factors[:, 1:, 2])
    change = path.rates[:, 1:, 2] / np.maximum(path.rates[:, :-1, 2], 1e-3) - 1
    assert price.std() > 1e-3
    assert abs(np.corrcoef(price.ravel(), change.ravel())[0, 1]) < 0.01
    yearly = price.sum(1).mean() * 365 / 30
    assert abs(yearly) < 0.5  # not +361 %


# 5


@pytest.mark.parametrize("name", ENVS)
def test_fault_05_reward_over_a_small_deviation__quiet_and_wild_markets_stay_of_order_one(name: str) -> None:
    config = ENVS[name].config(None)
    bank = ENVS[name].market().sample(RNG(6), 32, config.path_rows)
    still = replace(
        bank,
        rates=np.full_like(bank.rates, 0.03),
        factors=None if bank.factors is None else 1 + 1e-9 * RNG(7).standard_normal(bank.factors.shape),
    )
    for path, least in ((bank, 0.05), (still, 0.0)):
        engine, actions = Engine(path, config, 32, RNG(8)), RNG(9)
        rewards = np.array([engine.step(actions.uniform(-1, 1, (32, config.limits.count))).reward for _ in range(50)])
        assert least < rewards.std() < 3
        assert np.abs(rewards).max() < 100
        holds = np.array([engine.step(np.full((32, config.limits.count), 0.3)).reward for _ in range(30)])
        assert np.abs(holds[10:]).max() < 100


# 6


def test_fault_06_pegs__a_depeg_moves_returns_and_persists() -> None:
    rwa = RwaMarket(Choices(depegs_per_year=(4.0, 4.0), wobble=(0.0, 0.0))).sample(RNG(10), 200, 721)
    given = DefiMarket().parameters
    often = {**given, "pegs": {**given["pegs"], "per_year": [4.0, 4.0, 4.0]}}
    defi = DefiMarket(often, 3600).sample(RNG(11), 200, 721)
    ether = RWA_FEATURES.index("eth_price")
    for path, venue, feature in (
        (rwa, 0, "usdy_peg"),
        (rwa, 1, "meth_peg"),
        (defi, 1, "dai_peg"),
        (defi, 4, "usdc_peg"),
    ):
        assert path.features is not None
        assert path.factors is not None
        peg = path.features[:, :, path.feature_names.index(feature)]
        earned = path.factors[:, 1:, venue]
        if feature == "meth_peg":
            earned = earned / (path.features[:, 1:, ether] / path.features[:, :-1, ether])
        assert np.allclose(earned, peg[:, 1:] / peg[:, :-1])
        lost = peg < 0.985
        assert lost.any()
        assert lost[:, 6:][lost[:, :-6]].mean() > 0.6  # six hours later it is mostly still lost


def test_fault_06_correlation__eth_btc_and_meth_move_together() -> None:
    rwa = RwaMarket().sample(RNG(12), 50, 721)
    assert rwa.features is not None
    assert rwa.factors is not None
    ether, bitcoin = (np.diff(np.log(rwa.features[:, :, k])).ravel() for k in (0, 1))
    meth = np.log(rwa.factors[:, 1:, 1]).ravel()
    assert np.corrcoef(ether, bitcoin)[0, 1] > 0.8
    assert np.cov(ether, meth)[0, 1] / ether.var() == pytest.approx(1.0, abs=0.02)
    defi = DefiMarket().sample(RNG(13), 50, 300)
    assert defi.features is not None
    over = np.diff(defi.features[:, :, :2], axis=1)
    assert np.corrcoef(over[..., 0].ravel(), over[..., 1].ravel())[0, 1] > 0.8


# 7


def test_fault_07_costs__a_unit_moved_from_one_to_another_is_charged_and_counted_once() -> None:
    state = replace(PortfolioState.open(1000.0, 3), assets=np.array([[500.0, 0.0, 0.0]]), idle=np.array([500.0]))
    row = MarketRow(np.zeros((1, 3)), np.array([0.001]), np.ones((1, 3)), DAY)
    costs = Costs(100.0, 50.0, entry=0.002, exit=0.001)
    result = step(state, np.array([[0.3, 0.2, 0.0]]), np.array([[True, True, False]]), row, OPEN, costs)
    assert result.turnover[0] == pytest.approx(0.2)
    assert result.state.nav[0] == pytest.approx(1000.0 - 200 * 0.001 - 200 * 0.002)
    assert result.gas[0] == pytest.approx(0.2)  # 200 units
    assert result.state.net_worth[0] == pytest.approx(result.state.nav[0] - 0.2)


def test_fault_07_drift__weights_follow_prices_where_nothing_is_traded() -> None:
    state = replace(PortfolioState.open(1000.0, 3), assets=np.array([[500.0, 500.0, 0.0]]), idle=np.zeros(1))
    row = MarketRow(np.zeros((1, 3)), np.zeros(1), np.array([[1.5, 1.0, 1.0]]), DAY)
    result = step(state, np.zeros((1, 3)), np.zeros((1, 3), dtype=bool), row, OPEN, FREE)
    assert result.state.weights[0].tolist() == [0.6, 0.4, 0.0]


@pytest.mark.parametrize("name", ENVS)
def test_fault_07_gas__is_charged_as_money_and_taken_off_the_reward(name: str) -> None:
    config = _config(name, episode_rows=2, costs=Costs(), rules=DecisionRules(max_gas_share=0.5))
    path = _bare(config.version, path_of(np.full((3, config.limits.count), 0.03), gas=1e-5))
    action = np.full((1, config.limits.count), 0.1)
    action[0, 0] = 0.9
    moved = {}
    for nav in (1e5, 1e6):
        for price in (0.0, 1e-5):
            priced = replace(path, gas_cost=np.full_like(path.gas_cost, price))
            moved[nav, price] = Engine(priced, replace(config, nav=nav), 1, RNG(0)).step(action)
    for nav in (1e5, 1e6):
        gas = moved[nav, 1e-5].result.gas[0]
        assert gas == pytest.approx(2.5 * (1 + config.limits.count))  # the same money, whatever the NAV
        less = moved[nav, 0.0].reward[0] - moved[nav, 1e-5].reward[0]
        assert less > 0
    ratio = [moved[nav, 0.0].reward[0] - moved[nav, 1e-5].reward[0] for nav in (1e5, 1e6)]
    assert ratio[0] / ratio[1] == pytest.approx(10.0, rel=0.01)


# 8


@pytest.mark.parametrize("name", ENVS)
def test_fault_08_seeding__the_seed_decides_everything_and_no_global_state_is_touched(name: str) -> None:
    def play(seed: int) -> np.ndarray:
        env = VaultEnv(ENVS[name].market(), replace(ENVS[name].config(None), episode_rows=5))
        first, _ = env.reset(seed=seed)
        return np.array([first, *(env.step(np.full(env.config.limits.count, 0.2))[0] for _ in range(5))])

    np.random.seed(12_345)  # noqa: NPY002
    np.random.random(7)  # noqa: NPY002
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    one = play(1)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002
    np.random.seed(99)  # noqa: NPY002
    assert np.array_equal(one, play(1))
    assert not np.array_equal(one, play(2))


def test_fault_08_training__on_the_market_given_and_evaluated_on_others(tmp_path: Path) -> None:
    class Recorder:
        names = ("a", "b", "c")

        def __init__(self) -> None:
            self.drawn: list[np.ndarray] = []
            self.states: list[str] = []

        def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
            self.states.append(str(rng.bit_generator.state))
            path = replace(shipped_market(self.names).sample(rng, batch, length), names=self.names)
            self.drawn.append(path.rates)
            return path

    market = Recorder()
    preset = load_preset("quick").model_copy(update={"steps": 1})
    train(preset, Limits.uniform(3), tmp_path / "policy.npz", market=market)
    assert len(market.drawn) >= 3  # to train on, to choose by, to test on
    assert len(set(market.states)) == len(market.states)  # and never from the same seed
    firsts = {float(rates[path, 0, 0]) for rates in market.drawn for path in range(len(rates))}
    assert len(firsts) == sum(len(rates) for rates in market.drawn)  # no path is shown twice


# 9


@pytest.mark.parametrize("name", ENVS)
def test_fault_09_trained_and_tested__one_mapping_from_outputs_to_weights(name: str, tmp_path: Path) -> None:
    """The environment given a network's outputs decides as the backtest given the exported network."""
    config = _config(name)
    preset, count = ENVS[name], config.limits.count
    inputs = vector_size(count, config.version)
    rng = RNG(14)
    layers = ((rng.normal(0, 0.5, (inputs, 16)), np.zeros(16)), (rng.normal(0, 0.5, (16, count)), np.zeros(count)))
    strategies = list(preset.market().names)
    policy = save_policy(tmp_path / "p.npz", layers, {"name": "p", "strategies": strategies}, config.version)
    path = preset.market().sample(RNG(15), 1, config.path_rows)
    engine = Engine(path, config, 1, RNG(0))
    nav = [float(engine.state.nav[0])]
    for _ in range(config.episode_rows):
        hidden = np.maximum(engine.observe().vector() @ layers[0][0], 0.0)
        nav.append(float(engine.step(hidden @ layers[1][0]).result.state.nav[0]))
    setting = Setting(config.limits, config.costs, config.rules, config.nav, config.version)
    assert run(policy, path, setting).nav[0].tolist() == pytest.approx(nav, rel=1e-12)
    assert len(set(nav)) > 10


# 10


def test_fault_10_failed_load__no_policy_at_all(tmp_path: Path) -> None:
    layers = ((np.ones((18, 3)), np.zeros(3)),)
    save_policy(tmp_path / "good.npz", layers, {"name": "good", "strategies": ["a", "b", "c"]})
    raw, manifest = (tmp_path / "good.npz").read_bytes(), (tmp_path / "good.json").read_text()
    cases = {
        "absent": (None, manifest),
        "truncated": (raw[:-20], manifest),
        "altered": (raw[:200] + bytes([raw[200] ^ 1]) + raw[201:], manifest),
        "undescribed": (raw, None),
        "renamed": (raw, manifest.replace('"good"', '"better"')),
    }
    for name, (parameters, text) in cases.items():
        if parameters is not None:
            (tmp_path / f"{name}.npz").write_bytes(parameters)
        if text is not None:
            (tmp_path / f"{name}.json").write_text(text)
        with pytest.raises(PolicyError):
            load_policy(tmp_path / f"{name}.npz")
    with pytest.raises(PolicyError):
        load_policy("no such policy")
    with pytest.raises(PolicyError):
        save_policy(tmp_path / "diverged.npz", ((np.full((18, 3), np.nan), np.zeros(3)),), {"strategies": ["a"] * 3})


# 11


def test_fault_11_annualising__compounds() -> None:
    path = path_of(np.full((366, 1), 0.365))
    limits = Limits.uniform(1, 1.0, idle_floor=0.0)
    setting = Setting(limits, FREE, DecisionRules(drift_margin=0.0))
    yearly = run(load_policy("equal-weight"), path.part(0, 31), setting).annual_return[0]
    assert yearly == pytest.approx(1.001**365 - 1, rel=1e-9)  # 44 %, not 36.5 %


def test_fault_11_sharpe__of_autocorrelated_five_minute_marks__not_scaled_by_the_root_of_their_number() -> None:
    rng, per_year = RNG(16), 365.0 * 288.0
    noise = rng.standard_normal(288 * 200) * 1e-4
    marks = np.convolve(noise, np.ones(6) / 6, mode="valid") + 1e-6  # every mark is a mean of the last half hour's
    naive = marks.mean() / marks.std() * np.sqrt(per_year)
    robust = sharpe(marks, per_year)
    independent = marks.mean() / 1e-4 * np.sqrt(per_year)  # of the noise that the marks are means of
    assert robust is not None
    assert naive > 2 * robust.ratio
    assert robust.ratio == pytest.approx(independent, rel=0.1)


# 12


@pytest.mark.parametrize("name", ENVS)
def test_fault_12_all_zero_action__divides_by_nothing(name: str) -> None:
    config = _config(name)
    bank = ENVS[name].market().sample(RNG(17), 4, config.path_rows)
    with np.errstate(divide="raise", invalid="raise"):
        engine = Engine(bank, config, 4, RNG(0))
        moved = [engine.step(np.zeros((4, config.limits.count))) for _ in range(5)]
    assert all(np.isfinite(step.reward).all() and np.isfinite(step.observation).all() for step in moved)


def test_fault_12_emergency__all_idle_is_a_valid_target() -> None:
    weights = np.array([[0.4, 0.3, 0.2]])
    with np.errstate(divide="raise", invalid="raise"):
        decision = decide(np.zeros((1, 3)), weights, np.ones(1), 0.0, Limits.uniform(3), FREE, DecisionRules())
    assert decision.reason == (Reason.TRADE,)
    assert decision.weights.tolist() == [[0.0, 0.0, 0.0]]
    engine = Engine(DefiMarket().sample(RNG(18), 4, 41), _config("defi", deployed_share=1.0), 4, RNG(0))
    assert (engine.step(np.zeros((4, 5))).result.state.idle_weight > 1 - 1e-2 * 5).all()


# 13


def test_fault_13_price__the_one_of_the_row_as_it_is_and_none_refused() -> None:
    path = RwaMarket().sample(RNG(19), 8, 50)
    engine = Engine(path, rwa_config(episode_rows=49, costs=Costs(), rules=DecisionRules(max_gas_share=0.9)), 8, RNG(0))
    for row in range(3):
        moved = engine.step(np.tile([[1.0, -1.0, -1.0], [-1.0, 1.0, -1.0]], (4, 1)) * (-1) ** row)
        units = 250_000.0 * (1 + moved.result.moved.sum(-1))
        assert (units > 250_000).all()
        assert moved.result.gas == pytest.approx(units * path.gas_cost[engine._path, row], rel=1e-12)
    with pytest.raises(NotFiniteError):
        observe(
            PortfolioState.open(1.0, 3),
            np.full((1, 3), 0.03),
            RateMemory.start(np.full((1, 3), 0.03), 0),
            np.nan,
            Costs(),
        )
