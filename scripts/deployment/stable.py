"""Venues in a stable pool that has the asset among its coins: composable stable pools of Balancer V2, and Curve's."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception

from agent.units import WAD
from keeper.inspect.words import percent
from scripts.deployment.prices import Check, Feeds
from scripts.deployment.venues import Venue
from scripts.protocols.aave import ZERO
from scripts.protocols.artifacts import load_contract
from scripts.protocols.chain import Chain, contract_at, node_of

CURVE_FEE_UNIT = 10**10
MOST_COINS = 8
"""As many as a pool of Curve can have."""


@dataclass(frozen=True)
class _Found:
    """The facts of a pool: its coins without its own token, its fee as a share, and why no strategy can stand on it."""

    coins: tuple[ChecksumAddress, ...]
    fee: float
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class StablePool(Venue):
    """A pool of coins that should all be worth the same.

    Attributes
    ----------
    max_cost
        Most that entering or leaving may cost against the price, the pool's fee included, as a share. A coin that costs
        less than 1 by more than this closes the entrance.
    max_growth
        Most that the pool's rate grows in a year, as a share.
    prices
        Of the other coins in the asset, in the pool's order.
    """

    pool: ChecksumAddress
    max_cost: float
    max_growth: float
    prices: tuple[Feeds, ...]
    protocol: ClassVar[str]
    strategy: ClassVar[str]

    @property
    def place(self) -> ChecksumAddress:
        """The pool."""
        return self.pool

    @property
    def words(self) -> str:
        """Words for a line of the plan."""
        bound = percent(round(self.max_cost * WAD))
        return f"new strategy in the {self.protocol} stable pool {self.pool} within {bound}"

    @abstractmethod
    def _read(self, w3: Web3) -> _Found:
        """Return what the pool is; raises `Web3Exception` where it is none of this kind."""

    @abstractmethod
    def _arguments(self) -> tuple[Any, ...]:
        """Return what the strategy's constructor takes between the asset and the oracles."""

    @abstractmethod
    def _facts(self, strategy: Any) -> Iterator[Check]:
        """Yield what is this kind's own of a deployed strategy, beside what was planned."""

    def check(self, w3: Web3, asset: ChecksumAddress) -> list[str]:
        """Whether it is a pool of the asset, its fee can be kept to, and every other coin is at par by its feeds."""
        try:
            facts = self._read(w3)
        except Web3Exception:
            return [f"{self.pool} is not a stable pool of {self.protocol} on chain {w3.eth.chain_id}"]
        if asset not in facts.coins:
            return [f"the pool {self.pool} has the coins {', '.join(facts.coins)}, and not {asset}"]
        if len(self.prices) != len(facts.coins) - 1:
            return [
                f"the pool {self.pool} has {len(facts.coins)} coins: give {len(facts.coins) - 1} prices, of the others"
            ]
        reasons = list(facts.faults)
        if not facts.fee < self.max_cost < 1:
            reasons.append(f"max_cost {self.max_cost:.2%} must be more than the pool's fee of {facts.fee:.2%}")
        others = [coin for coin in facts.coins if coin != asset]
        for coin, price in zip(others, self.prices, strict=True):
            if faults := price.check(w3):
                reasons += faults
            elif abs((found := price.value(w3)) - 1) > self.max_cost:
                reasons.append(f"the coin {coin} costs {found:g}, and may be off par by {self.max_cost:.2%} at first")
        return reasons

    def deploy(self, chain: Chain, asset: ChecksumAddress, title: str, symbol: str) -> Contract:
        """Deploy an oracle for each other coin, and the strategy."""
        node = node_of(chain.w3)
        others = [coin for coin in self._read(chain.w3).coins if coin != asset]
        decimals = {token: node.read("Vault", token, "decimals") for token in (asset, *others)}
        pairs = zip(others, self.prices, strict=True)
        oracles = [price.deploy(chain, decimals[coin], decimals[asset]) for coin, price in pairs]
        bounds = (round(self.max_cost * WAD), round(self.max_growth * WAD))
        return chain.deploy(load_contract(self.strategy), asset, *self._arguments(), oracles, *bounds, title, symbol)

    def facts(self, w3: Web3, strategy: ChecksumAddress) -> Iterator[Check]:
        """Yield the pool, the bounds, and what each coin's price comes from."""
        functions = contract_at(w3, strategy, load_contract(self.strategy)).functions
        yield "pool", functions.POOL().call(), self.pool
        yield "max cost", functions.MAX_COST().call(), round(self.max_cost * WAD)
        yield "growth of the rate", functions.MAX_GROWTH().call(), round(self.max_growth * WAD)
        yield from self._facts(functions)
        for index, price in enumerate(self.prices):
            for what, found, planned in price.facts(w3, functions.feeds(index).call()[0]):
                yield f"price {index + 1}: {what}", found, planned

    def to_book(self) -> dict[str, Any]:
        """Return kind, pool and bounds."""
        return {**super().to_book(), "pool": self.pool, "max_cost": self.max_cost, "max_growth": self.max_growth}


@dataclass(frozen=True)
class BalancerStable(StablePool):
    """A composable stable pool of Balancer V2, through a new `BalancerStableStrategy`: for devnets and tests."""

    kind: ClassVar[str] = "balancer-stable"
    protocol: ClassVar[str] = "Balancer V2"
    strategy: ClassVar[str] = "BalancerStableStrategy"

    def _read(self, w3: Web3) -> _Found:
        pool = contract_at(w3, self.pool, load_contract("IComposableStablePool")).functions
        vault = contract_at(w3, pool.getVault().call(), load_contract("IBalancerVault")).functions
        tokens, _, _ = vault.getPoolTokens(pool.getPoolId().call()).call()
        own = pool.getBptIndex().call()
        faults = []
        if any(provider != ZERO for provider in pool.getRateProviders().call()):
            faults.append(f"a coin of the pool {self.pool} has a rate of its own, and is not worth 1")
        if pool.getPausedState().call()[0] or vault.getPausedState().call()[0]:
            faults.append(f"the pool {self.pool} is paused")
        coins = tuple(Web3.to_checksum_address(token) for index, token in enumerate(tokens) if index != own)
        return _Found(coins, pool.getSwapFeePercentage().call() / WAD, tuple(faults))

    def _arguments(self) -> tuple[Any, ...]:
        return (self.pool,)

    def _facts(self, strategy: Any) -> Iterator[Check]:
        yield from ()


@dataclass(frozen=True)
class CurveStable(StablePool):
    """A stable pool of Curve, through a new `CurveStableStrategy`.

    Attributes
    ----------
    token
        The pool's token, where that is a contract of its own.
    lists
        Whether the pool takes lists of any length, as those of stableswap-ng do.
    """

    token: ChecksumAddress | None = None
    lists: bool = False
    kind: ClassVar[str] = "curve-stable"
    protocol: ClassVar[str] = "Curve"
    strategy: ClassVar[str] = "CurveStableStrategy"

    def _read(self, w3: Web3) -> _Found:
        pool = contract_at(w3, self.pool, load_contract("ICurvePool")).functions
        pool.get_virtual_price().call()
        coins: list[ChecksumAddress] = []
        while len(coins) < MOST_COINS:
            try:
                coins.append(Web3.to_checksum_address(pool.coins(len(coins)).call()))
            except Web3Exception:  # that is how a pool says that it has no more
                break
        return _Found(tuple(coins), pool.fee().call() / CURVE_FEE_UNIT)

    def _arguments(self) -> tuple[Any, ...]:
        return (self.pool, self.token or self.pool, self.lists)

    def _facts(self, strategy: Any) -> Iterator[Check]:
        yield "token", strategy.TOKEN().call(), self.token or self.pool
        yield "lists", strategy.LISTS().call(), self.lists

    def to_book(self) -> dict[str, Any]:
        """Return kind, pool, bounds, token and lists."""
        return {**super().to_book(), "token": self.token or self.pool, "lists": self.lists}
