from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.backtest import Setting, run
from agent.errors import PolicyShapeError
from agent.market.lending import SyntheticMarket
from agent.observation.memory import RateMemory
from agent.observation.observe import Observation, observe
from agent.policies.rules import (
    EqualWeight,
    Greedy,
    GreedyBand,
    RandomFeasible,
    Rule,
    SingleAsset,
    as_committed,
    move_for_a_lead,
)
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState
from tests.agent.made_up import path_of
from tests.agent.policies import decisions


def seen(
    rates: list[float], weights: list[float], *, gas: float = 0.0, nav: float = 1e6, leg: float = 0.0
) -> Observation:
    now = np.array([rates])
    state = PortfolioState.open(nav, len(rates))
    held = np.array([weights]) * nav
    state = replace(state, assets=held, idle=nav - held.sum(-1))
    return observe(state, now, RateMemory.start(now, 0), gas, Costs(entry=leg, exit=leg))


def placed(policy: GreedyBand | SingleAsset, observation: Observation) -> list[float]:
    """Return the weights that come of it under caps of 60 % and a floor of 2 %."""
    limits = Limits.uniform(observation.count)
    return [round(float(w), 6) for w in limits.project(policy.act(observation), 1e6)[0]]


@pytest.mark.parametrize("leg", [0.0001, 0.0005, 0.0010])
@pytest.mark.parametrize("horizon", [7.0, 30.0])
def test_greedy_band__moves_exactly_where_advantage_times_horizon_pays_for_the_legs(leg: float, horizon: float) -> None:
    rule = GreedyBand(band=0.0, horizon_days=horizon)
    least = 2 * leg * 365 / horizon
    held = [0.6, 0.38, 0.0]
    for over, moved in ((0.98, False), (1.02, True)):
        rates = [0.03, 0.03, 0.03 + over * least]
        assert (placed(rule, seen(rates, held, leg=leg)) != held) == moved


def test_greedy_band__gas_is_weighed_against_the_amount_that_moves() -> None:
    rule, held, units = GreedyBand(band=0.0, horizon_days=10.0), [0.6, 0.38, 0.0], 250_000 * 4
    gas = 100.0 / units  # a rebalance costs 100 of 1,000,000: 0.38 moves for 0.96 % a year over ten days, not for less
    least = 100.0 / 1e6 / 0.38 * 36.5
    for over, target in ((0.98, held), (1.02, [0.6, 0.0, 0.38])):
        assert placed(rule, seen([0.09, 0.03, 0.03 + over * least], held, gas=gas)) == target


def test_greedy_band__only_the_worse_of_two_positions_is_left() -> None:
    rule, held = GreedyBand(band=0.01), [0.6, 0.38, 0.0]
    assert placed(rule, seen([0.02, 0.045, 0.05], held)) == [0.0, 0.38, 0.6]
    assert placed(rule, seen([0.045, 0.02, 0.05], held)) == [0.6, 0.0, 0.38]
    assert placed(rule, seen([0.045, 0.045, 0.05], held)) == held


def test_greedy_band__nothing_held__fills_the_best() -> None:
    assert placed(GreedyBand(), seen([0.01, 0.03, 0.02], [0.0, 0.0, 0.0], leg=0.01)) == [0.0, 0.6, 0.38]


def test_greedy_band__equal_positions__the_better_stays_when_one_must_go() -> None:
    limits = Limits.uniform(4, 0.4)
    wanted = GreedyBand(band=0.01).act(seen([0.01, 0.03, 0.02, 0.039], [0.4, 0.4, 0.18, 0.0]))
    assert limits.project(wanted, 1e6)[0] == pytest.approx([0.0, 0.4, 0.18, 0.4])


def test_greedy_band__caps_that_differ__no_move_without_a_lead_and_none_again_after_it(setting: Setting) -> None:
    limits = Limits(np.array([0.1, 0.6, 0.6, 0.3]), np.full(4, np.inf))
    rule, held = GreedyBand(band=0.01), [0.1, 0.6, 0.28, 0.0]
    kept = limits.project(rule.act(seen([0.02, 0.02, 0.02, 0.025], held)), 1e6)[0]
    assert kept == pytest.approx(held)
    rates = [0.02, 0.02, 0.019, 0.05]
    moved = limits.project(rule.act(seen(rates, held)), 1e6)[0]
    assert moved[3] == pytest.approx(0.3)
    assert limits.project(rule.act(seen(rates, moved.tolist())), 1e6)[0] == pytest.approx(moved)


def test_greedy_band__new_money__goes_to_what_is_held() -> None:
    assert placed(GreedyBand(), seen([0.05, 0.04, 0.03], [0.3, 0.19, 0.0])) == [0.545, 0.435, 0.0]
    assert placed(GreedyBand(), seen([0.05, 0.04, 0.03], [0.6, 0.0, 0.0])) == [0.6, 0.38, 0.0]


def test_greedy_band__batch__rows_do_not_touch_one_another(rng: np.random.Generator) -> None:
    rates, held = rng.uniform(0, 0.1, (50, 5)), rng.dirichlet(np.ones(5), 50) * 0.98
    state = replace(PortfolioState.open(1e6, 5, 50), assets=held * 1e6, idle=np.full(50, 2e4))
    all_ = observe(state, rates, RateMemory.start(rates, 0), 1e-5, Costs(entry=1e-4))
    together = move_for_a_lead(all_, np.full(50, 0.002), np.full(50, 20.0), rates)
    for row in range(50):
        one = seen(rates[row].tolist(), held[row].tolist(), gas=1e-5)
        one = replace(one, move_cost=all_.move_cost[row : row + 1], weights=all_.weights[row : row + 1])
        assert np.array_equal(GreedyBand(0.002, 20.0).act(one)[0], together[row])


def test_greedy_band__at_5_bp_a_leg__loses_far_less_than_greedy(market: SyntheticMarket, setting: Setting) -> None:
    dear = replace(setting, costs=Costs(entry=5e-4, exit=5e-4))
    path = market.sample(np.random.default_rng(0), 8, 366)
    band, greedy = (run(policy, path, dear) for policy in (GreedyBand(), Greedy()))
    assert band.annual_return.mean() > greedy.annual_return.mean() + 0.01
    assert band.turnover.sum() < 0.3 * greedy.turnover.sum()


def test_single_asset__its_cap_first_then_the_others_alike() -> None:
    assert placed(SingleAsset(1), seen([0.1, 0.0, 0.1], [0.0, 0.0, 0.0])) == [0.19, 0.6, 0.19]
    assert SingleAsset(1).name == "single-1"
    assert SingleAsset(1).digest != SingleAsset(0).digest
    with pytest.raises(PolicyShapeError, match="no strategy 3"):
        SingleAsset(3).act(seen([0.1, 0.0, 0.1], [0.0, 0.0, 0.0]))


def test_random_feasible__same_generator_same_portfolios__digest_names_it(setting: Setting) -> None:
    first, second, other = (RandomFeasible(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.digest == second.digest != other.digest
    path = path_of(np.full((30, 3), 0.05))
    runs = [run(policy, path, setting) for policy in (first, second, other)]
    assert np.array_equal(runs[0].weights, runs[1].weights)
    assert not np.array_equal(runs[0].weights, runs[2].weights)
    assert (runs[0].weights[:, :-1] <= 0.6 + 1e-3).all()
    assert runs[0].turnover.sum() > 5 * run(EqualWeight(), path, setting).turnover.sum()


@pytest.mark.parametrize("name", decisions.rules())
def test_decisions__of_every_rule__are_those_of_its_version(name: str) -> None:
    now, before = decisions.decided()[name], decisions.written()[name]
    again = f"write the decisions again with `{decisions.COMMAND}`"
    assert now["version"] == before["version"], f"{name} has a new version: {again}"
    assert not decisions.changed(now, before), f"behaviour of {name} changed: raise its version and {again}"
    assert now["digest"] == before["digest"], f"digest of {name} changed, its version did not: vaults would refuse it"


def test_decisions__every_rule_there_is__has_some() -> None:
    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    kinds = {kind for kind in below(Rule) - {Rule} if kind.__module__.startswith("agent.")}
    assert kinds | {RandomFeasible} == {type(rule) for rule in decisions.rules().values()}
    assert set(decisions.written()) == set(decisions.rules())


def test_decisions__changed_under_the_same_version__are_not_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = decisions.FILE.read_text()
    monkeypatch.setattr(Greedy, "act", lambda _, seen: -seen.rates)
    assert decisions.main() == 1
    assert "greedy changed: raise its version first" in capsys.readouterr().err
    assert decisions.FILE.read_text() == text


def test_digest__other_words_same__other_version_or_parameters_another(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = GreedyBand().digest
    monkeypatch.setattr(GreedyBand, "__doc__", "The same in other words.")
    assert GreedyBand().digest == digest
    assert GreedyBand(band=0.003).digest != digest
    monkeypatch.setattr(GreedyBand, "version", 2)
    assert GreedyBand().digest != digest


def test_as_committed__another_version_or_other_parameters__not_under_the_old_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = "0x8227de2e5c7ba5229c6439f11b74f985e0d7bfb520e33214b4d8e40408631b93"
    assert as_committed(GreedyBand(), old).digest == old
    for other in (GreedyBand(band=0.003), Greedy()):
        assert as_committed(other, old) is other
    monkeypatch.setattr(GreedyBand, "version", 2)
    assert as_committed(GreedyBand(), old).digest != old
