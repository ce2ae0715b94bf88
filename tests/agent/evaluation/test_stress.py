"""Stress days: what is history stays as it was, what is laid over it says so, and positions feel it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.backtest import Setting
from agent.evaluation.scoring import Leg
from agent.evaluation.stress import EVENTS, Case, cases, coin_of, run_case, shortened
from agent.market.path import MarketPath
from agent.policies.rules import Greedy, SingleAsset
from agent.vault.limits import Limits
from tests.agent.made_up import path_of
from tools.calibration.stress import main

WARM_UP = 10


def _days(first: date, count: int = 120) -> list[date]:
    return [first + timedelta(days=index) for index in range(count)]


@pytest.fixture
def path(rng: np.random.Generator) -> MarketPath:
    return replace(path_of(rng.uniform(0.02, 0.05, (120, 3)), gas=1e-6), names=("USDC", "usdt", "sUSDe"))


def _case(path: MarketPath, name: str, first: date = date(2024, 1, 1)) -> Case:
    return next(case for case in cases(path, _days(first), WARM_UP) if case.name.startswith(name))


def test_cases__days_that_were_tested__are_history_and_change_nothing(path: MarketPath) -> None:
    found = {case.name: case for case in cases(path, _days(date(2022, 4, 1)), WARM_UP)}
    luna = found["LUNA, 2022-05-09"]
    assert (luna.kind, luna.change) == ("history", None)
    assert _days(date(2022, 4, 1))[luna.first + 1] == date(2022, 5, 9)
    assert {case.kind for case in found.values()} == {"history", "overlay of what was measured", "overlay, made up"}
    in_warm_up = _case(path, "LUNA", date(2022, 5, 5))
    assert in_warm_up.kind == "overlay of what was measured"


def test_overlay__depeg__hits_the_coin_and_comes_back(path: MarketPath) -> None:
    case = _case(path, "USDC depeg")
    assert case.change is not None
    changed = case.change(path)
    assert changed.factors is not None
    assert changed.factors[0, :, 0].min() < 0.98
    assert changed.factors[0].prod(0) == pytest.approx([1.0, 1.0, 1.0], abs=1e-4)
    assert (changed.factors[0, :, 1:] == 1.0).all()
    before = slice(0, case.first + 1)
    assert np.array_equal(changed.rates[:, before], path.rates[:, before])
    holder, other = SingleAsset(0), SingleAsset(1)
    legs = {each.name: [Leg(each, 109)] for each in (holder, other)}
    done = run_case(case, legs, path, Setting(Limits.uniform(3)), WARM_UP)
    assert done["single-0"]["drawdown"] > 0.015
    assert done["single-1"]["drawdown"] < 0.6 * done["single-0"]["drawdown"]


def test_overlay__full_utilisation__nothing_is_put_in_and_nothing_asked_that_cannot_be_paid(path: MarketPath) -> None:
    case = _case(path, "best pool lent out")
    assert case.change is not None
    changed = case.change(path)
    assert changed.liquidity is not None
    assert (changed.liquidity[0] == 0).sum() == 5
    restless = {"greedy": [Leg(Greedy(), 109)]}
    setting = Setting(Limits.uniform(3))
    done = run_case(case, restless, path, setting, WARM_UP)["greedy"]
    assert (done["refused"], done["trades"] > 0) == (0, True)
    dry = replace(changed, liquidity=np.zeros_like(changed.liquidity))
    whole = Case("all dry", "overlay, made up", case.first, case.last, lambda _: dry)
    done = run_case(whole, restless, path, setting, WARM_UP)["greedy"]
    assert (done["refused"], done["trades"]) == (0, 0)


def test_shortened__legs__end_with_the_case() -> None:
    legs = [Leg(Greedy(), 20), Leg(Greedy(), 30)]
    assert [leg.rows for leg in shortened(legs, 35)] == [20, 15]
    assert [leg.rows for leg in shortened(legs, 20)] == [20]


def test_coin_of__names_of_strategies() -> None:
    assert [coin_of(name) for name in ("USDC", "dai_1", "USDT0", "sUSDe", "wUSDC")] == [
        "usdc",
        "dai",
        "usdt",
        None,
        None,
    ]


def test_facts__are_those_of_the_documented_command(compound: Path, tmp_path: Path) -> None:
    assert main([str(compound.parent), str(tmp_path / "stress.json")]) == 0
    shipped = Path(__file__).parents[3] / "agent" / "evaluation" / "stress.json"
    assert json.loads((tmp_path / "stress.json").read_text()) == json.loads(shipped.read_text())
    assert set(json.loads(shipped.read_text())) == set(EVENTS)
