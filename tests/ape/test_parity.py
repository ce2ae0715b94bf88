"""The Python money math and the vault agree: one NAV path, from share prices seen on chain and the weights sent."""

import numpy as np
import pytest

from agent.vault.replay import replay
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


class _Rows:
    """One row per transaction: prices and NAV at its block, what was sent, what flowed."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._rows: list[tuple[float, list[float], list[int], float]] = []

    def nav(self, block: int | None = None) -> int:
        return int(self._house.read(self._house.vault.functions.totalAssets(), block))

    def prices(self, block: int | None = None) -> list[float]:
        lens = self._house.lens.functions.snapshot(self._house.vault.address)
        return [entry.price / 10**27 for entry in self._house.read(lens, block).strategies]

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
    present = [entry.assets / snapshot.totalAssets for entry in snapshot.strategies]
    held = [share <= CAP - 1e-3 and generator.random() < 0.3 for share in present]
    budget = 1 - IDLE_FLOOR - 1e-3 - sum(share for share, hold in zip(present, held, strict=True) if hold)
    weights = []
    for hold in held:
        if hold:
            weights.append(HOLD)
            continue
        share = 0.0 if generator.random() < 0.15 else generator.uniform(0, max(0.0, min(CAP, budget)))
        budget -= share
        weights.append(int(share * WAD))
    return weights
