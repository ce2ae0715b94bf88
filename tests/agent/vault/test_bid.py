"""The bid: floats against the integers of `Valuation.sol`, `Positions.sol` and `Exits.sol`, and what it protects."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.units import DAY, WAD, YEAR
from agent.vault.bucket import Budget
from agent.vault.decision import DecisionRules, decide
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, MarketRow, PortfolioState, accrue, rebalance, step, unwind

RAY = 10**27
FREE = Costs(0.0, 0.0)
TENTH = Limits.uniform(2, 1.0, idle_floor=0.0, max_growth_rate=0.1)
BOTH = np.ones((1, 2), dtype=bool)


@dataclass
class SolidityVault:
    """The contract's records in its integers and its order, for a vault that records at every row."""

    rate: int
    idle: int
    supply: int
    shares: list[int]
    values: list[int] = field(default_factory=list)  # `recorded` of each strategy
    times: list[int] = field(default_factory=list)
    price: list[int] = field(default_factory=list)
    whole: int = 0
    now: int = 0
    at: int = 0

    def grown(self, amount: int, since: int) -> int:
        return amount + amount * (self.rate * (self.now - since)) // (WAD * YEAR)

    def worth(self, i: int) -> int:
        return self.shares[i] * self.price[i] // RAY

    def nav(self) -> int:
        return self.idle + sum(self.worth(i) for i in range(len(self.shares)))

    def bid(self) -> int:
        parts = [min(self.worth(i), self.grown(self.values[i], self.times[i])) for i in range(len(self.shares))]
        return min(self.idle + sum(parts), self.grown(self.whole, self.at))

    def record(self) -> None:
        self.whole, self.at = self.bid(), self.now

    def reduce(self, i: int, shares: int) -> None:
        if shares:
            self.values[i] = self.values[i] * (self.shares[i] - shares) // self.shares[i]
            self.shares[i] -= shares

    def rebalance(self, weights: list[int], moved: list[bool]) -> None:
        self.record()
        nav, values = self.nav(), [self.worth(i) for i in range(len(self.shares))]
        targets = [nav * w // WAD if m else v for w, m, v in zip(weights, moved, values, strict=True)]
        for i, (value, target) in enumerate(zip(values, targets, strict=True)):
            if target < value:
                shares = self.shares[i] if target == 0 else -(-self.shares[i] * (value - target) // value)
                self.idle += shares * self.price[i] // RAY
                self.reduce(i, shares)
        for i, (value, target) in enumerate(zip(values, targets, strict=True)):
            if target > value:
                put = min(target - value, self.idle)
                self.values[i] = min(value, self.grown(self.values[i], self.times[i])) + put
                self.times[i] = self.now
                self.shares[i] += put * RAY // self.price[i]
                self.idle -= put
        self.record()

    def flow(self, amount: int) -> None:
        self.record()
        side = self.nav() if amount > 0 else self.bid()
        self.supply += amount * self.supply // side
        self.whole += amount
        self.idle += amount


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_bid__any_history__is_the_contracts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, rate = int(rng.integers(1, 9)), float(rng.choice([0.0, 0.05, 0.25, 5.0, 1000.0]))
    limits = Limits.uniform(count, 1.0, idle_floor=0.0, max_drawdown=1.0, max_growth_rate=rate)
    chain = SolidityVault(round(rate * WAD), 10**13, 10**19, [0] * count, [0] * count, [0] * count, [RAY] * count)
    chain.record()
    chain.whole = chain.idle
    state = PortfolioState.open(1e7, count)
    for _ in range(25):
        if rng.random() < 0.6:
            weights, moved = rng.dirichlet(np.ones(count + 1))[:-1], rng.random(count) < 0.7
            moved[:] |= (weights[moved].sum() + state.weights[0][~moved].sum()) > 0.999
            chain.rebalance([int(weight * WAD) for weight in weights], moved.tolist())
            state = rebalance(state, weights[None], moved[None], np.zeros(1), FREE, limits).state
        if rng.random() < 0.4:
            amount = int(rng.uniform(-0.9 * min(chain.idle, chain.bid()), 5e12))
            chain.flow(amount)
            state = state.flow(amount / 1e6)
        seconds = int(rng.choice([0, 3600, DAY, 30 * DAY]))
        growth = np.where(rng.random(count) < 0.2, rng.uniform(0.7, 1.5, count), rng.uniform(0.999, 1.003, count))
        before = chain.price
        chain.price = [round(price * factor) for price, factor in zip(before, growth, strict=True)]
        chain.now += seconds
        chain.record()
        state = accrue(state, growth[None], seconds, limits)
        assert state.nav[0] * 1e6 == pytest.approx(chain.nav(), rel=1e-9)
        assert state.bid[0] * 1e6 == pytest.approx(chain.bid(), rel=1e-9)
        assert state.share_price[0] * 1e-6 == pytest.approx(chain.bid() / chain.supply, rel=1e-9)


def _claimed(factor: float = 2.0, *, limits: Limits = TENTH, seconds: float = YEAR / 10) -> PortfolioState:
    """A vault with half of 1,000 in one strategy, which then claims to have grown by a factor."""
    opened = PortfolioState.open(1000.0, 2)
    held = rebalance(opened, np.array([[0.5, 0.0]]), BOTH, np.zeros(1), FREE, limits).state
    return accrue(held, np.array([[factor, 1.0]]), seconds, limits)


def test_bid__claimed_gain__counts_as_fast_as_the_rate_and_no_faster() -> None:
    state = _claimed()
    assert state.nav[0] == 1500
    assert state.bid[0] == pytest.approx(1005)  # 500 and a tenth of a tenth
    assert state.share_price[0] == state.mark[0] == pytest.approx(1.005)
    later = accrue(state, np.ones((1, 2)), YEAR / 10, TENTH)
    assert later.bid[0] == pytest.approx(1010)  # simple growth of the position


def test_bid__positions_that_gain_on_the_losses_of_others__the_whole_is_bounded_too() -> None:
    limits = replace(TENTH, max_growth_rate=1.0)
    held = rebalance(PortfolioState.open(1000.0, 2), np.array([[0.5, 0.5]]), BOTH, np.zeros(1), FREE, limits).state
    fallen = accrue(held, np.array([[0.5, 1.0]]), 0.0, limits)
    assert fallen.bid[0] == 750  # a loss counts at once
    recovered = accrue(fallen, np.array([[2.0, 1.0]]), YEAR / 100, limits)
    assert recovered.nav[0] == 1000
    assert recovered.bid[0] == pytest.approx(757.5)


def test_bid__real_interest_under_the_rate__is_nav() -> None:
    state = _claimed(1.009)
    assert state.bid[0] == state.nav[0]


def test_bid__without_a_bound__is_nav_to_the_last_bit_and_nothing_is_recorded() -> None:
    for rate in (sys.float_info.max, 1e9, 1000.1):
        state = _claimed(limits=replace(TENTH, max_growth_rate=rate))
        assert state.records is None
        assert state.bid[0] == state.nav[0] == 1500
        assert state.mark[0] == state.share_price[0] == 1.5
    assert _claimed(limits=replace(TENTH, max_growth_rate=1000.0)).records is not None  # the vault's own range


def test_halted__follows_the_bid__a_claim_taken_back_halts_nobody() -> None:
    back = accrue(_claimed(), np.array([[0.5, 1.0]]), 0.0, TENTH)
    assert back.nav[0] == 1000
    assert back.drawdown[0] == pytest.approx(1 - 1 / 1.005)
    assert not back.halted[0]
    assert accrue(back, np.array([[0.7, 1.0]]), 0.0, TENTH).halted[0]


def test_rebalance__out_of_a_claimed_gain__lifts_the_bid_by_nothing() -> None:
    state = _claimed()
    for target in ([0.0, 0.0], [0.2, 0.0], [0.2, 0.5]):
        after = rebalance(state, np.array([target]), BOTH, np.zeros(1), FREE, TENTH).state
        assert after.bid[0] <= state.bid[0] * (1 + 1e-15)
    paid = rebalance(state, np.array([[0.0, 0.0]]), BOTH, np.zeros(1), FREE, TENTH).state
    assert paid.idle[0] == 1500  # the gain was real, and comes into the bid as fast as the whole may grow
    assert accrue(paid, np.ones((1, 2)), YEAR / 10, TENTH).bid[0] == pytest.approx(1005 * 1.01)


def test_rebalance__more_into_a_position__records_what_is_believed_of_it_and_the_deposit() -> None:
    state = _claimed()
    more = rebalance(state, np.array([[0.8, 0.0]]), BOTH, np.zeros(1), FREE, TENTH).state
    assert more.records is not None
    assert more.records.values[0, 0] == more.records.most[0, 0] == pytest.approx(505 + 200)
    less = rebalance(state, np.array([[0.5, 0.0]]), BOTH, np.zeros(1), FREE, TENTH).state
    assert less.records is not None
    assert less.records.values[0, 0] == pytest.approx(500 * 0.75)
    assert less.records.most[0, 0] == pytest.approx(505 * 0.75)


def test_budgets__are_shares_of_the_bid__a_claim_widens_none() -> None:
    limits = replace(TENTH, turnover_budget=Budget(0.3), loss_budget=Budget(0.003))
    costs = Costs(0.0, 0.0, entry=0.01)
    state = replace(_claimed(limits=replace(limits, turnover_budget=Budget(1.0))), turnover_used=np.zeros(1))
    left = state.allowance(limits)
    assert left.turnover[0] == pytest.approx(0.3 * 1005 / 1500)
    assert left.loss[0] == pytest.approx(0.003 * 1005 / 1500)
    assert state.allowance(TENTH).turnover[0] == np.inf
    assert state.records is not None
    believed_nothing = replace(state, records=replace(state.records, whole=np.zeros(1)))
    assert believed_nothing.allowance(TENTH).turnover[0] == np.inf

    def refused(share: float) -> bool:
        target = np.array([[2 / 3, share]])
        return bool(rebalance(state, target, BOTH, np.zeros(1), costs, limits).refused[0])

    assert not refused(0.2)  # 300 of 1,005, and not of 1,500
    assert refused(0.202)
    tight = replace(limits, turnover_budget=Budget(1.0), loss_budget=Budget(0.00199))
    assert rebalance(state, np.array([[2 / 3, 0.2]]), BOTH, np.zeros(1), costs, tight).refused[0]  # 3 / 1,005
    moved = rebalance(state, np.array([[2 / 3, 0.2]]), BOTH, np.zeros(1), costs, limits)
    assert moved.turnover[0] == pytest.approx(0.2)
    assert moved.state.turnover_used[0] == pytest.approx(300 / 1005)
    assert moved.state.loss_used[0] == pytest.approx(3 / 1005)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_budgets__however_large_the_claim__nothing_decided_is_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = replace(
        Limits.uniform(3, 0.6, max_drawdown=1.0, max_growth_rate=0.25),
        turnover_budget=Budget(rng.uniform(0.1, 1), 0.5),
        loss_budget=Budget(rng.uniform(0.0005, 0.002), 0.001),
    )
    costs, state, sent = Costs(0.0, 0.0, entry=0.001, exit=0.001), PortfolioState.open(1e6, 3, 16), 0
    for _ in range(15):
        room = state.allowance(limits)
        wanted = rng.dirichlet(np.ones(3), 16)
        decided = decide(wanted, state.weights, state.nav, 0.0, limits, costs, DecisionRules(), allowance=room)
        row = MarketRow(np.zeros((16, 3)), np.zeros(16), rng.uniform(0.98, 1.2, (16, 3)), float(DAY))
        result = step(state, decided.weights, decided.traded, row, limits, costs)
        assert not result.refused.any()
        state, sent = result.state, sent + int(decided.traded.any(-1).sum())
    assert sent > 0
    assert (state.bid < state.nav).any()


def test_flow__deposits_pay_nav_and_withdrawals_get_the_bid_and_neither_hurts_who_stays() -> None:
    state = _claimed()
    more = state.flow(300.0)
    assert more.supply[0] == pytest.approx(1000 + 300 / 1.5)
    assert more.bid[0] == pytest.approx(1305)
    assert more.share_price[0] >= state.share_price[0]
    less = state.flow(-100.5)
    assert less.supply[0] == pytest.approx(900)
    assert less.bid[0] == pytest.approx(1005 - 100.5)
    assert less.share_price[0] == pytest.approx(1.005)
    assert less.nav[0] / less.supply[0] > state.nav[0] / state.supply[0]
    later = accrue(more, np.ones((1, 2)), YEAR / 10, TENTH)
    assert later.bid[0] == pytest.approx(510 + 800)  # the deposit is believed, the claim still is not


def test_bid__in_an_empty_vault__is_nav() -> None:
    state = PortfolioState.open(1000.0, 2)
    state = accrue(state, np.ones((1, 2)), 0.0, TENTH).flow(-1000.0)
    given = replace(state, idle=np.array([5.0]))
    assert given.bid.tolist() == [5.0]


def test_unwind__of_a_claimed_gain__takes_the_record_along_and_the_whole_stays_bounded() -> None:
    state = _claimed()
    half = unwind(state, np.array([True]), FREE, np.array([[500.0, 0.0]]))
    assert half.idle[0] == 1000
    assert half.records is not None
    assert half.records.values[0, 0] == pytest.approx(250)
    assert half.bid[0] == pytest.approx(1010)  # paid out, the gain is believed: as fast as the whole of 1,000 grows
    assert unwind(state, np.array([False]), FREE).bid.tolist() == state.bid.tolist()


def test_step__bounded__equals_unbounded_but_for_the_bid() -> None:
    rng = np.random.default_rng(3)
    free = replace(TENTH, max_growth_rate=sys.float_info.max, max_drawdown=1.0)
    bound = replace(TENTH, max_drawdown=1.0)
    one, other = PortfolioState.open(1000.0, 2, 8), PortfolioState.open(1000.0, 2, 8)
    for _ in range(10):
        weights, traded = rng.dirichlet(np.ones(3), 8)[:, :2], np.repeat(rng.random((8, 1)) < 0.7, 2, axis=1)
        row = MarketRow(np.zeros((8, 2)), np.zeros(8), rng.uniform(0.99, 1.02, (8, 2)), float(DAY))
        one = step(one, weights, traded, row, free, FREE).state
        other = step(other, weights, traded, row, bound, FREE).state
        assert np.array_equal(one.assets, other.assets)
        assert np.array_equal(one.idle, other.idle)
        assert (other.bid <= other.nav).all()
    assert (other.bid < other.nav).any()
