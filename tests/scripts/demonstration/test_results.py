"""Results of a demo: what must not happen is told, NAV is rebuilt with costs, rules are run on the chain's prices."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from agent.market.path import MarketPath
from agent.observation.observe import CHAIN
from agent.policies.rules import EqualWeight, SingleAsset
from agent.vault.limits_file import LimitsFile
from keeper.conversion import HOLD, Leg
from scripts.demonstration.replay import Step
from scripts.demonstration.results import LEARNED, Run, failures, growth, parity_error

WAD = 10**18
UNIT = 10**6
HOUR = 3_600
GOOD: dict[str, Any] = {
    "rebalances_failed": 0,
    "cap_violations": 0,
    "kill_switch_tripped": True,
    "rebalance_after_trip_reverted": True,
    "keeper_refused_after_trip": True,
    "depositors_repaid_share": 1.0,
    "parity_max_rel_error": 1e-10,
    "attacks_accepted": 0,
}


def test_failures__a_good_run__none() -> None:
    assert failures(GOOD) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rebalances_failed": 2}, "2 rebalances failed"),
        ({"cap_violations": 1}, "1 cap violations"),
        ({"kill_switch_tripped": False}, "the kill-switch did not trip"),
        ({"rebalance_after_trip_reverted": False}, "the chain accepted a rebalance after the trip"),
        ({"keeper_refused_after_trip": False}, "the keeper did not refuse after the trip"),
        ({"depositors_repaid_share": 0.99}, "only 99.0000% was repaid"),
        ({"parity_max_rel_error": 2e-9}, "the money math is off by 2.0e-09"),
        ({"attacks_accepted": 1}, "1 attempts at the walls went through"),
    ],
)
def test_failures__each_wall_that_did_not_hold__is_told(changes: dict[str, Any], told: str) -> None:
    assert failures({**GOOD, **changes}) == [told]


def step_of(index: int, nav: float, prices: tuple[float, ...], sent: tuple[float | None, ...] | None = None) -> Step:
    """Return a step of a vault over venues without costs; money in whole units, `None` in `sent` holds."""
    count = len(prices)
    return Step(
        step=index,
        timestamp=HOUR * (index + 1),
        block=index,
        reason="",
        target_rates=(0.0,) * count,
        rates=(0.0,) * count,
        prices=tuple(round(price * 10**27) for price in prices),
        nav=round(nav * UNIT),
        nav_before=round(nav * UNIT),
        idle=0,
        assets=(0,) * count,
        cash=(None,) * count,
        share_price=WAD,
        high_water_mark=WAD,
        drawdown_floor=0,
        sent=None if sent is None else tuple(HOLD if part is None else round(part * WAD) for part in sent),
        entry_costs=(0.0,) * count,
        exit_costs=(0.0,) * count,
        haircuts=(0.0,) * count,
        loss_budget_used=0.0,
        gas_used=0,
        gas_price=0,
        base_fee=0,
        native_price=0.0,
        failed=False,
        refused="",
        cap_violations=0,
        cap_hits=0,
    )


def with_costs() -> list[Step]:
    """Half of 1000 goes into a swap at 1 %, which NAV counts at 2 % less; its price rises, and it is left at 3 %."""
    haircut = {"haircuts": (0.02,)}
    worth = 500 * 0.99
    return [
        replace(step_of(0, 1_000, (1.0,), (0.5,)), **haircut, entry_costs=(0.01,)),
        replace(step_of(1, 500 + worth * 1.1 * 0.98, (1.1,), (0.0,)), **haircut, exit_costs=(0.03,)),
        replace(step_of(2, 500 + worth * 1.1 * 0.97, (1.2,)), **haircut),
    ]


def test_parity__with_costs_and_haircuts__is_exact() -> None:
    assert parity_error(with_costs()) <= 1e-9


@pytest.mark.parametrize(
    "change", [{"entry_costs": (0.02,)}, {"sent": (round(0.51 * WAD),)}, {"haircuts": (0.01,)}, {"prices": (10**27,)}]
)
def test_parity__anything_else_than_was__is_noticed(change: dict[str, Any]) -> None:
    steps = with_costs()
    place = 1 if "prices" in change else 0
    steps[place] = replace(steps[place], **change)
    assert parity_error(steps) > 1e-4


def test_growth__rules__earn_what_the_shares_did_and_pay_what_trades_cost() -> None:
    prices = ((2.0, 1.0), (2.2, 1.0), (2.42, 0.5))
    steps = [step_of(index, 1_000, each) for index, each in enumerate(prices)]
    limits = LimitsFile.model_validate(
        {
            "idle_floor": 0.0,
            "max_drawdown": 0.9,
            "max_growth_rate": 1000.0,
            "cooldown": 0,
            "loss_budget": {"capacity": 1.0, "refill_per_day": 1.0},
            "strategies": [{"name": name, "relative_cap": 1.0} for name in ("up", "down")],
        }
    )
    path = MarketPath(np.arange(1, 4) * HOUR, np.zeros((1, 3, 2)), np.zeros((1, 3)), limits.names)
    rules = {"up": SingleAsset(0).act, "both": EqualWeight().act}
    preset = SimpleNamespace(version=CHAIN, rules=lambda _: rules, costs={"up": Leg(0.1, 0.1)})
    run = cast(
        Run, SimpleNamespace(steps=tuple(steps), limits=limits, preset=preset, series=SimpleNamespace(path=path))
    )
    found = growth(run)
    assert found[LEARNED] == pytest.approx([1, 1, 1])
    assert found["up"] == pytest.approx([1, 0.9 * 1.1, 0.9 * 1.21], rel=1e-4)
    first = 0.5 * 0.9 * 1.1 + 0.5
    assert found["both"][1] == pytest.approx(first, rel=1e-4)
