"""A fitted rule, live: from its file the keeper decides exactly as the backtest did."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from agent.backtest import Setting, run
from agent.evaluation.fitted import fitted_baselines
from agent.market.history import RateHistory, daily
from agent.market.path import MarketPath
from agent.observation.memory import RateMemory
from agent.policies.files import RulePolicy, save_rule
from agent.policies.load import load_policy
from agent.policies.rules import Rule
from agent.units import DAY, WAD
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs
from keeper.decide import Action, Settings, decide
from keeper.errors import PolicyError
from tests.keeper.by_hand import BLOCK, UNIT, snapshot, strategy, view
from tests.keeper.harness import UNIT as CHAIN_UNIT
from tests.keeper.harness import World

DAYS, WARM, COUNT = 60, 30, 3
NAV = 2**20  # weights that are parts of a power of two are the same numbers in base units and in floats
COSTS = Costs(entry=1e-4, exit=1e-4)
SETTINGS = Settings(native_price=3000.0, costs=COSTS)
NAMES = ("a", "b", "c")


def _rates(rng: np.random.Generator, days: int = DAYS) -> np.ndarray:
    """Rates as the chain says them, WAD per year: `(days, 3)` whole numbers that go up and down for days on end."""
    walk = 0.04 + 0.01 * np.cumsum(rng.normal(0, 0.3, (days, COUNT)), axis=0)
    return np.rint(np.clip(walk, 0.001, 0.2) * 1e6).astype(np.int64) * (WAD // 10**6)


def _rules(rates: np.ndarray, limits: Limits) -> list[Rule]:
    history = RateHistory.of(
        daily(date(2021, 1, 1), len(rates)), NAMES, rates / WAD, source="made-up.csv", digest="00" * 32
    )
    setting = Setting(limits, COSTS, nav=float(NAV))
    return [rule for rule in fitted_baselines(history, setting) if isinstance(rule, Rule)]


@pytest.mark.slow
def test_rule_from_its_file__the_keeper_decides_what_the_backtest_decided(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    wad = _rates(rng)
    rates = np.array([[int(rate) / WAD for rate in row] for row in wad])
    limits = view(snapshot()).limits
    path = MarketPath(
        timestamps=DAY * np.arange(1, DAYS + 1, dtype=np.int64),
        rates=rates[None],
        gas_cost=np.full((1, DAYS), BLOCK.base_fee / 1e18 * SETTINGS.native_price),
        names=NAMES,
    )
    for rule in _rules(_rates(rng, 200), limits):
        saved = save_rule(tmp_path / f"{rule.name}.npz", rule, NAMES, {})
        policy = load_policy(tmp_path / f"{rule.name}.json", strategies=COUNT, digest=saved.digest)
        memory, trades = None, 0
        for row in range(DAYS - 1):
            parts = rng.multinomial(200, np.ones(COUNT) / COUNT) / 256
            pools = [
                strategy(int(part * NAV) * UNIT, supply_rate=int(rate))
                for part, rate in zip(parts, wad[row], strict=True)
            ]
            state = snapshot(
                *pools,
                idle=int((1 - parts.sum()) * NAV) * UNIT,
                block=replace(BLOCK, timestamp=int(path.timestamps[row])),
                policy_hash=policy.digest,
                last_seen=int(path.timestamps[row]),
                last_rebalance=int(path.timestamps[row]) - DAY,
            )
            plan = decide(state, memory, policy, SETTINGS)
            assert plan.memory is not None
            memory = RateMemory.from_json(json.loads(json.dumps(plan.memory.to_json())))  # as after a restart
            if row < WARM:
                continue
            assert plan.action in (Action.REBALANCE, Action.HOLD), plan.reason
            setting = Setting(limits, COSTS, SETTINGS.rules, nav=float(NAV), start_weights=tuple(parts.tolist()))
            tested = run(rule, path, setting, warm_up=row)
            assert plan.target == tuple(tested.weights[0, 0].tolist()), (rule.name, row)
            assert (plan.request is not None) == bool(tested.traded[0, 0].any())
            trades += plan.request is not None
        assert trades > 3, rule.name


@pytest.fixture
def rule(world: World) -> RulePolicy:
    """The forecasting rule in a file, fitted for a pool with a high mean and two with low ones."""
    rates = _rates(np.random.default_rng(3), 200) + np.array([5, 0, 0]) * (WAD // 100)
    forecast = next(each for each in _rules(rates, Limits.uniform(COUNT)) if each.name == "forecast-ar1")
    return save_rule(world.folder / "rule.npz", forecast, NAMES, {})


@pytest.mark.chain
def test_rule_file__committed__trades_on_chain_and_goes_on_after_a_restart(world: World, rule: RulePolicy) -> None:
    options = {"policy": "rule.json", "max_block_age_seconds": 1e9}
    assert world.keeper(**options).cycle(live=True).outcome == "refused"  # equal weight is still committed
    world.commit(rule.digest)
    result = world.keeper(**options).cycle(live=True)
    assert result.outcome == "mined"
    assert result.target is not None
    assert world.weights == pytest.approx(result.target, abs=1e-6)
    world.pass_time(DAY)
    again = world.keeper(**options).cycle(live=True)  # a new process, the same journal
    assert again.succeeded
    assert world.vault.functions.valuation().call().nav == 1_000_000 * CHAIN_UNIT


@pytest.mark.chain
def test_rule_file__altered__no_keeper_at_all(world: World, rule: RulePolicy) -> None:
    file = world.folder / "rule.npz"
    whole = file.read_bytes()
    at = whole.index(np.float64(rule.rule.horizon_days).tobytes())  # type: ignore[attr-defined]
    file.write_bytes(whole[:at] + np.float64(99.0).tobytes() + whole[at + 8 :])
    with pytest.raises(PolicyError, match="truncated or not the file"):
        world.keeper(policy="rule.npz")
    file.write_bytes(whole)
    world.keeper(policy="rule.npz")
