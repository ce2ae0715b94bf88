"""A composable stable pool of Balancer V2 from the bytecode of its npm package, and what arbitrage does in it.

For devnets and tests: this family of pools lost more than a hundred million dollars on 2025-11-03 by its rounding. Here
the protocol takes nothing of the fees, so all of them are the holders'.

The invariant `D` of `n` coins with balances `x`, their sum `S` and the amplification `A` solves `A n S + D = A n D + P`
with `P = D^(n+1) / (n^n prod(x))`. A coin's price is in proportion to `A n + P / x`, the derivative of the invariant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Self

from eth_abi.abi import encode
from scipy.optimize import brentq
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from agent.units import DAY
from scripts.protocols.aave import ZERO
from scripts.protocols.artifacts import Artifact, load_artifact
from scripts.protocols.chain import Chain, Sender

UNIT = 10**18
AMPLIFICATION = 200
FEE = 4 * UNIT // 10_000
FOREVER = 2**63
_PAUSE = (90 * DAY, 30 * DAY)  # for how long it can be paused, and stays so
_INIT = 0  # kind of the first join
_GIVEN_IN = 0  # kind of swap
_NO_LIMIT = 2**255 - 1
_LEAST_TRADE = 1e-6
"""Of the pool: less is not worth a swap."""
_LEAST_SHARE = 0.002
"""Of the pool: no arbitrage takes a coin's balance under this part of an equal one."""


def _task(task: str, name: str) -> Artifact:
    return load_artifact("@balancer-labs/v2-deployments", f"dist/tasks/{task}/artifact/{name}.json")


VAULT = _task("20210418-vault", "Vault")
AUTHORIZER = _task("20210418-authorizer", "Authorizer")
FEE_PROVIDER = _task("20220725-protocol-fee-percentages-provider", "ProtocolFeePercentagesProvider")
POOL = _task("20230206-composable-stable-pool-v3", "ComposableStablePool")


@dataclass(frozen=True)
class BalancerPool:
    """The vault with one pool in it.

    Attributes
    ----------
    coins
        Addresses in the pool's order, without its own token, and the decimals of each.
    """

    chain: Chain
    vault: Contract
    pool: Contract
    coins: Mapping[str, int]

    def to_book(self) -> dict[str, Any]:
        """Return the entry in the address book."""
        return {"vault": self.vault.address, "pool": self.pool.address, "coins": dict(self.coins)}

    @classmethod
    def from_book(cls, chain: Chain, entry: Mapping[str, Any]) -> Self:
        """Rebuild from the entry in the address book."""
        return cls(chain, chain.at(entry["vault"], VAULT), chain.at(entry["pool"], POOL), dict(entry["coins"]))

    @cached_property
    def identifier(self) -> bytes:
        """The name by which the vault knows the pool."""
        return bytes(self.pool.functions.getPoolId().call())

    def balances(self) -> list[float]:
        """Return what the pool has of each coin, in whole coins."""
        tokens, amounts, _ = self.vault.functions.getPoolTokens(self.identifier).call()
        known = dict(zip(tokens, amounts, strict=True))
        return [known[coin] / 10**decimals for coin, decimals in self.coins.items()]

    def curve(self) -> "StableCurve":
        """Return the pool's arithmetic as it stands."""
        value, _, precision = self.pool.functions.getAmplificationParameter().call()
        fee = self.pool.functions.getSwapFeePercentage().call() / UNIT
        return StableCurve(tuple(self.balances()), value / precision, fee)

    def swaps(self, trades: Sequence["Trade"], trader: Sender) -> ContractFunction:
        """Return the call that makes trades one after another; `trader` must have let the vault take the coins."""
        tokens = list(self.coins)
        steps = [
            (self.identifier, t.paid, t.received, int(t.amount * 10 ** self.coins[tokens[t.paid]]), b"") for t in trades
        ]
        funds = (trader.address, False, trader.address, False)
        limits = [_NO_LIMIT] * len(tokens)
        return self.vault.functions.batchSwap(_GIVEN_IN, steps, tokens, funds, limits, FOREVER)


def deploy_pool(chain: Chain, weth: Contract, sides: Sequence[tuple[Contract, int]], provider: Sender) -> BalancerPool:
    """Deploy the vault, which the chain's sender may pause, and a pool in it with these amounts of `provider`.

    Parameters
    ----------
    sides
        Coins, and base units of each, which `provider` must own.
    """
    admin = chain.sender.address
    authorizer = chain.deploy(AUTHORIZER, admin)
    vault = chain.deploy(VAULT, authorizer.address, weth.address, *_PAUSE)
    fees = chain.deploy(FEE_PROVIDER, vault.address, UNIT, UNIT)
    ordered = sorted(sides, key=lambda side: int(side[0].address, 16))
    tokens, count = [token.address for token, _ in ordered], len(ordered)
    pool = chain.deploy(
        POOL,
        (
            *(vault.address, fees.address, "Stand-in for 3pool", "3POOL"),
            *(tokens, [ZERO] * count, [0] * count, [False] * count),
            *(AMPLIFICATION, FEE, *_PAUSE, admin, ""),
        ),
    )
    for token, _ in ordered:
        chain.approve(token, vault.address, provider)
    decimals: dict[str, int] = {token.address: int(token.functions.decimals().call()) for token, _ in ordered}
    made = BalancerPool(chain, vault, pool, decimals)
    everything = list(vault.functions.getPoolTokens(made.identifier).call()[0])
    amounts = {token.address: amount for token, amount in ordered}
    data = encode(["uint256", "uint256[]"], [_INIT, [amounts.get(token, 0) for token in everything]])
    request = (everything, [2**256 - 1] * len(everything), data, False)
    join = vault.functions.joinPool(made.identifier, provider.address, provider.address, request)
    chain.send(join, sender=provider)
    return made


@dataclass(frozen=True)
class Trade:
    """An amount of one coin, in whole coins, that is paid in for another; both by their places in the pool."""

    paid: int
    received: int
    amount: float


@dataclass(frozen=True)
class StableCurve:
    """The arithmetic of a pool with these balances, in whole coins.

    Attributes
    ----------
    amplification
        `A`.
    fee
        Of what is paid in, as a share. It stays in the pool.
    """

    balances: tuple[float, ...]
    amplification: float
    fee: float

    @property
    def invariant(self) -> float:
        """`D`, by Newton's method."""
        count, total = len(self.balances), sum(self.balances)
        weight, found = self.amplification * count, total
        for _ in range(255):
            power = found ** (count + 1) / (count**count * prod(self.balances))
            before = found
            found = (weight * total + count * power) * found / ((weight - 1) * found + (count + 1) * power)
            if abs(found - before) <= 1e-14 * found:
                break
        return found

    def prices(self) -> list[float]:
        """Return the price of each coin in the first one, without the fee."""
        count, invariant = len(self.balances), self.invariant
        power = invariant ** (count + 1) / (count**count * prod(self.balances))
        slopes = [self.amplification * count + power / balance for balance in self.balances]
        return [slope / slopes[0] for slope in slopes]

    def at_prices(self, prices: Sequence[float]) -> tuple[float, ...]:
        """Return the balances of the same invariant at which the coins are worth `prices`, in any unit.

        Where a coin would all but leave the pool, a little of it stays.
        """
        count, weight, lowest = len(prices), self.amplification * len(prices), min(prices)

        def shares(level: float) -> list[float]:
            # The slopes are `level` times the prices: that gives the balances but for `P`, and their product `P`.
            over = [level * price / lowest - weight for price in prices]
            power = float((prod(over) / count**count) ** (1 / (count + 1)))
            return [power / each for each in over]

        def excess(level: float) -> float:
            balances = shares(level)
            return float(weight * sum(balances) + 1 - weight - 1 / (count**count * prod(balances)))

        level = float(brentq(lambda x: excess(weight + x), 1e-9, 1e3 * weight, xtol=1e-13, rtol=1e-14))
        invariant = self.invariant
        least = _LEAST_SHARE * invariant / count
        return tuple(max(share * invariant, least) for share in shares(weight + level))

    def pay(self, trade: Trade) -> tuple["StableCurve", float]:
        """Return the pool after a trade, and what it pays, in whole coins."""
        after = list(self.balances)
        after[trade.paid] += trade.amount * (1 - self.fee)
        left = self._balance(trade.received, after)
        received = self.balances[trade.received] - left
        after[trade.received], after[trade.paid] = left, self.balances[trade.paid] + trade.amount
        return StableCurve(tuple(after), self.amplification, self.fee), received

    def _balance(self, index: int, balances: Sequence[float]) -> float:
        """Return the balance of one coin with which the others', as given, have the pool's invariant."""
        count, invariant = len(balances), self.invariant
        others = [balance for place, balance in enumerate(balances) if place != index]
        weight = self.amplification * count
        c = invariant ** (count + 1) / (count**count * prod(others) * weight)
        b = sum(others) + invariant / weight
        found = invariant
        for _ in range(255):
            before, found = found, (found * found + c) / (2 * found + b - invariant)
            if abs(found - before) <= 1e-14 * invariant:
                break
        return found

    def trades_to(self, prices: Sequence[float], fees: float) -> list[Trade]:
        """Return the trades of those who know the coins' `prices`, by which the pool earns `fees`, in whole coins.

        Arbitrage goes as far as it pays: until the pool's price of any coin in another is off by no more than the fee.
        What it does not pay in fees is paid by trades there and back before it.
        """
        target = self.at_prices(self._within(prices))
        moved = sum(max(wanted - has, 0.0) for wanted, has in zip(target, self.balances, strict=True))
        volume = fees / self.fee - moved
        trades: list[Trade] = []
        curve = self
        if volume > 2 * _LEAST_TRADE * self.invariant:
            scarce, *_, plenty = sorted(range(len(target)), key=self.balances.__getitem__)
            there = Trade(scarce, plenty, volume / 2)
            curve, received = curve.pay(there)
            back = Trade(plenty, scarce, received)
            curve, _ = curve.pay(back)
            trades += [there, back]
        return trades + curve._arbitrage(curve.at_prices(curve._within(prices)))

    def _within(self, prices: Sequence[float]) -> list[float]:
        """Return the prices nearest to the pool's own that are off `prices` by no more than the fee, one in another."""
        off = [now / price for now, price in zip(self.prices(), prices, strict=True)]
        middle = (max(off) + min(off)) / 2
        low, high = middle * (1 - self.fee / 2), middle * (1 + self.fee / 2)
        return [price * min(max(each, low), high) for price, each in zip(prices, off, strict=True)]

    def _arbitrage(self, target: Sequence[float]) -> list[Trade]:
        """Return the trades that bring the balances to a target: a coin that is short is paid in for one in plenty."""
        curve, trades, least = self, [], _LEAST_TRADE * self.invariant
        for _ in self.balances:
            gaps = [wanted - has for wanted, has in zip(target, curve.balances, strict=True)]
            paid, received = gaps.index(max(gaps)), gaps.index(min(gaps))
            amount = min(gaps[paid], curve._price_of_exit(paid, received, -gaps[received]))
            if amount <= least:
                break
            trades.append(Trade(paid, received, amount))
            curve, _ = curve.pay(trades[-1])
        return trades

    def _price_of_exit(self, paid: int, received: int, amount: float) -> float:
        """Return what must be paid in for an amount of another coin, the fee included."""
        if amount <= 0:
            return 0.0
        after = list(self.balances)
        after[received] -= amount
        return (self._balance(paid, after) - self.balances[paid]) / (1 - self.fee)
