"""Budgets: the float bucket against the integer one of `contracts/libraries/Bucket.sol`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import LimitsError
from agent.units import DAY
from agent.vault.bucket import UNBOUNDED, Budget

WAD = 10**18


@dataclass
class SolidityBucket:
    """`Bucket.sol`, line by line, in integers; `refill` is WAD per second."""

    capacity: int
    refill: int
    used: int = 0
    used_at: int = 0

    def used_now(self, now: int) -> int:
        return max(0, self.used - self.refill * (now - self.used_at))

    def available(self, now: int) -> int:
        return max(0, self.capacity - self.used_now(now))

    def spend(self, amount: int, now: int) -> bool:
        if amount == 0:
            return True
        if amount > self.available(now):
            return False
        self.used, self.used_at = self.used_now(now) + amount, now
        return True


_spending = st.tuples(st.floats(0, 0.5), st.integers(0, 3 * DAY))


@given(
    st.integers(0, 10 * WAD),
    st.integers(0, WAD // 100),
    st.lists(_spending, min_size=1, max_size=30),
)
@settings(max_examples=300, deadline=None)
def test_budget__any_sequence__is_the_contracts_bucket(capacity: int, refill: int, spendings: list) -> None:  # type: ignore[type-arg]
    chain, budget = SolidityBucket(capacity, refill), Budget(capacity / WAD, refill / WAD * DAY)
    used, now = np.zeros(1), 0
    for amount, seconds in spendings:
        now += seconds
        used = budget.refill(used, seconds)
        assert budget.available(used)[0] == pytest.approx(chain.available(now) / WAD, abs=1e-12)
        wad = int(amount * WAD)
        if abs(wad - chain.available(now)) < 10**6:
            continue  # too close to call in floats
        used, fits = budget.spend(used, np.array([amount]))
        assert fits[0] == chain.spend(wad, now)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_budget__any_window__bounds_what_is_spent_in_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    budget = Budget(rng.uniform(0, 2), rng.uniform(0, 1))
    used, now = np.zeros(8), 0.0
    times, spent = [], []
    for _ in range(40):
        seconds = rng.exponential(DAY / 4)
        now += seconds
        amount = rng.uniform(0, 1, 8)
        used, fits = budget.spend(budget.refill(used, seconds), amount)
        times.append(now)
        spent.append(np.where(fits, amount, 0.0))
    for first in range(0, 40, 7):
        for last in range(first, 40, 5):
            bound = budget.capacity + budget.refill_per_day * (times[last] - times[first]) / DAY
            assert (np.sum(spent[first : last + 1], axis=0) <= bound + 1e-12).all()


def test_spend__what_is_not_there__changes_nothing() -> None:
    used, fits = Budget(1.0, 0.0).spend(np.array([0.5, 0.5, 2.0]), np.array([0.5, 0.6, 0.0]))
    assert fits.tolist() == [True, False, True]  # nothing can always be spent, also from a budget that was cut
    assert used.tolist() == [1.0, 0.5, 2.0]


def test_unbounded__never_runs_out() -> None:
    used, fits = UNBOUNDED.spend(np.array([1e9]), np.array([1e9]))
    assert fits[0]
    assert UNBOUNDED.available(used)[0] == np.inf


@pytest.mark.parametrize(("capacity", "refill"), [(-0.1, 0), (np.nan, 0), (1, -1), (1, np.inf), (1, np.nan)])
def test_budget__impossible__refused(capacity: float, refill: float) -> None:
    with pytest.raises(LimitsError, match="budget"):
        Budget(capacity, refill)
