"""The Python money math and the vault agree: one NAV path, from share prices seen on chain and the weights sent."""

import numpy as np
import pytest

from agent.vault.limits import Limit, Limits
from agent.vault.portfolio import Costs, PortfolioState, accrue, rebalance
from agent.vault.replay import replay
from scripts.protocols.anvil import number_before
from scripts.protocols.borrower import follow_supply_rate
from tests.ape.house import HOLD, UNIT, WAD, House

MAX_RELATIVE_ERROR = 1e-9
CAP = 0.60
IDLE_FLOOR = 0.02
COOLDOWN = 3_600


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_replay__random_rebalances_deposits_and_withdrawals__nav_path_of_the_vault(house: House, seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = _Rows(house)
    house.deposit("alice", 5_000_000 * UNIT)
    rows.note(rows.prices(), None, 0.0, rows.nav())
    for _ in range(30):
        for market in house.devnet.markets.values():
            if generator.random() < 0.3:
                follow_supply_rate(market, float(generator.uniform(0.0005, 0.25)))
        house.warp(int(generator.integers(COOLDOWN, 5 * 86_400)))
        action = generator.random()
        if action < 0.1:
            rows.flow("bob", int(generator.integers(1, 1_000_000 * UNIT)))
        elif action < 0.2:
            rows.flow("alice", -int(house.vault.functions.idle().call() * generator.uniform(0, 1)))
        else:
            rows.rebalance(_weights(house, generator))

    chain, prices, weights, traded, flows = rows.arrays()
    path = replay(prices, weights, traded, chain[0], flows=flows)
    assert np.isfinite(path).all()
    assert np.abs(path / chain - 1).max() <= MAX_RELATIVE_ERROR
    assert traded.sum() > 20, "hardly anything was traded: nothing is shown"
    assert (weights[traded] == 0).any(), "no position was left altogether"
    assert house.vault.functions.sharePrice().call() > WAD, "no interest was earned"


def test_replay__another_weight_than_was_sent__is_noticed(house: House) -> None:
    rows = _Rows(house)
    house.deposit("alice", 5_000_000 * UNIT)
    rows.note(rows.prices(), None, 0.0, rows.nav())
    for share in (0.5, 0.2, 0.4):
        house.warp(30 * 86_400)
        rows.rebalance([int(share * WAD), HOLD, int(0.3 * WAD)])
    chain, prices, weights, traded, flows = rows.arrays()
    right = replay(prices, weights, traded, chain[0], flows=flows)
    assert np.abs(right / chain - 1).max() <= MAX_RELATIVE_ERROR
    weights[1, 0] += 0.001
    wrong = replay(prices, weights, traded, chain[0], flows=flows)
    assert np.abs(wrong / chain - 1).max() > MAX_RELATIVE_ERROR


def test_bid__gains_that_are_not_believed_yet__is_the_vaults(house: House) -> None:
    """The bound on the whole and those on the positions bind: the markets pay several times what the bid may grow."""
    vault, rows = house.vault.functions, _Rows(house)
    house.govern(vault.loosen(Limit.MAX_GROWTH_RATE, WAD // 100))
    house.deposit("alice", 5_000_000 * UNIT)
    for market, rate in zip(house.devnet.markets.values(), (0.02, 0.08, 0.005), strict=True):
        follow_supply_rate(market, rate)
    limits = Limits.uniform(3, 1.0, idle_floor=0.0, max_drawdown=1.0, max_growth_rate=0.01)
    state, free = PortfolioState.open(5_000_000.0, 3), Costs(gas_base=0.0, gas_per_move=0.0)
    last, prices = house.w3.eth.block_number, rows.prices()
    wrong, behind = [], []
    for step in (
        wad(0.3, 0.4, 0.2),
        [HOLD, HOLD, HOLD],
        wad(0.5, 0.1, 0.3),
        1_000_000 * UNIT,
        [WAD // 5, HOLD, WAD // 2],
        -200_000 * UNIT,
        wad(0.0, 0.55, 0.1),
        wad(0.3, 0.3, 0.3),
    ):
        house.warp(40 * 86_400)
        if isinstance(step, list):
            block = house.rebalance(step)["blockNumber"]
        else:
            block = (house.deposit("bob", step) if step > 0 else house.withdraw("alice", -step))["blockNumber"]
        seconds = house.w3.eth.get_block(block)["timestamp"] - house.w3.eth.get_block(last)["timestamp"]
        now = rows.prices(block)
        state = accrue(state, np.array([now]) / np.array([prices]), seconds, limits)
        last, prices = block, now
        wrong.append(state.bid[0] * UNIT / number_before(house.w3, vault.totalAssets(), block) - 1)
        behind.append(1 - state.bid[0] / state.nav[0])
        if isinstance(step, list):
            traded = np.array([[weight != HOLD for weight in step]])
            target = np.array([[0.0 if weight == HOLD else weight / WAD for weight in step]])
            state = rebalance(state, target, traded, np.zeros(1), free, limits).state
        else:
            state = state.flow(step / UNIT)
        wrong.append(state.bid[0] * UNIT / house.read(vault.totalAssets(), block) - 1)
    assert np.abs(wrong).max() <= MAX_RELATIVE_ERROR
    assert min(behind[1:]) > 1e-3, "all was believed: nothing is shown"
    assert state.supply[0] == pytest.approx(vault.totalSupply().call() / UNIT / 10**6, rel=1e-9)


def wad(*shares: float) -> list[int]:
    return [int(share * WAD) for share in shares]


class _Rows:
    """One row per transaction: prices and NAV at its block, what was sent, what flowed."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._rows: list[tuple[float, list[float], list[int], float]] = []

    def nav(self, block: int | None = None) -> int:
        return int(self._house.read(self._house.vault.functions.valuation(), block).nav)

    def prices(self, block: int | None = None) -> list[float]:
        """Return the share prices at the start of a block, where its rebalance is made; by default of the last."""
        block = block or self._house.w3.eth.block_number
        calls = [strategy.functions.convertToAssets(10**27) for strategy in self._house.strategies]
        return [number_before(self._house.w3, call, block) / 10**27 for call in calls]

    def note(self, prices: list[float], weights: list[int] | None, flow: float, nav: int) -> None:
        self._rows.append((nav / UNIT, prices, weights or [HOLD] * len(prices), flow))

    def flow(self, role: str, amount: int) -> None:
        receipt = self._house.deposit(role, amount) if amount > 0 else self._house.withdraw(role, -amount)
        block = receipt["blockNumber"]
        self.note(self.prices(block), None, amount / UNIT, self.nav(block) - amount)

    def rebalance(self, weights: list[int]) -> None:
        event = self._house.rebalance(weights)
        assert self.nav(event["blockNumber"]) == event["args"]["navAfter"]
        self.note(self.prices(event["blockNumber"]), weights, 0.0, event["args"]["navBefore"])

    def arrays(self) -> tuple[np.ndarray, ...]:
        navs, prices, weights, flows = zip(*self._rows, strict=True)
        traded = np.array([[weight != HOLD for weight in row] for row in weights])
        shares = np.array([[0.0 if weight == HOLD else weight / WAD for weight in row] for row in weights])
        return np.array(navs), np.array(prices), shares, traded, np.array(flows)


def _weights(house: House, generator: np.random.Generator) -> list[int]:
    """Random weights that the vault accepts: some held, some left altogether, within the caps and the idle floor."""
    snapshot = house.lens.functions.snapshot(house.vault.address).call()
    present = [entry.assets / snapshot.nav for entry in snapshot.strategies]
    held = [share <= CAP - 1e-3 and generator.random() < 0.3 for share in present]
    cap = CAP * min(1.0, snapshot.bid / snapshot.nav)
    budget = 1 - IDLE_FLOOR - 1e-3 - sum(share for share, hold in zip(present, held, strict=True) if hold)
    weights = []
    for hold in held:
        if hold:
            weights.append(HOLD)
            continue
        share = 0.0 if generator.random() < 0.15 else generator.uniform(0, max(0.0, min(cap, budget)))
        budget -= share
        weights.append(int(share * WAD))
    return weights
