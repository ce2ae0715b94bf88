"""Venues in a Uniswap V3 pool of the asset and another token, held against a price: swaps, and liquidity."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from eth_typing import ChecksumAddress, HexStr
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception

from agent.units import WAD
from keeper.inspect.words import percent
from scripts.deployment.prices import Check, Price
from scripts.deployment.venues import Venue
from scripts.protocols.aave import ZERO
from scripts.protocols.artifacts import load_contract
from scripts.protocols.chain import Chain, Unlocked, contract_at, describe_revert, node_of

ANYBODY = Web3.to_checksum_address("0x" + "b0" * 20)
"""An address that is on nobody's list."""
HIGHEST_COST = 0.05
"""As `UniswapV3LiquidityStrategy.HIGHEST_COST`."""


@dataclass(frozen=True)
class PricedPool(Venue):
    """A Uniswap V3 pool of the asset and another token, held against a price.

    Attributes
    ----------
    max_cost
        Most that entering or leaving may cost against the price, the pool's fee included, as a share.
    price
        Of the token in the asset.
    """

    pool: ChecksumAddress
    max_cost: float
    price: Price

    @property
    def place(self) -> ChecksumAddress:
        """The pool, which alone buys the token back."""
        return self.pool

    def check(self, w3: Web3, asset: ChecksumAddress) -> list[str]:
        """Whether it is a pool of the asset, the costs can be kept, there is a price, and the token can be held."""
        pool = contract_at(w3, self.pool, load_contract("IUniswapV3Pool")).functions
        try:
            tokens, fee = (pool.token0().call(), pool.token1().call()), pool.fee().call()
        except Web3Exception:
            return [f"{self.pool} is not a Uniswap V3 pool on chain {w3.eth.chain_id}"]
        if asset not in tokens:
            return [f"the pool {self.pool} trades {tokens[0]} and {tokens[1]}, not {asset}"]
        token = tokens[1 - tokens.index(asset)]
        return self._check_costs(fee / 1e6) + self.price.check(w3) + self._check_holders(w3, token)

    def _check_costs(self, fee: float) -> list[str]:
        if not fee < self.max_cost < 1:
            return [f"max_cost {self.max_cost:.2%} must be more than the pool's fee of {fee:.2%}"]
        return []

    @property
    def _is_listed(self) -> bool:
        """Whether the strategy will be on the token's list of holders, where it has one."""
        return False

    def _check_holders(self, w3: Web3, token: ChecksumAddress) -> list[str]:
        """Let the pool pay out of the token, without sending it: first to itself, then to a new address."""
        contract = contract_at(w3, token, load_contract("StandInUsdy"))
        if contract.functions.balanceOf(self.pool).call() == 0:
            return [f"the pool {self.pool} has none of the token {token}"]
        new = [] if self._is_listed else [(ANYBODY, "a strategy that its issuer has not listed")]
        for receiver, who in ((self.pool, "its pool"), *new):
            data = contract.encode_abi("transfer", args=[receiver, 1])
            try:
                w3.eth.call({"from": self.pool, "to": token, "data": HexStr(data)})
            except Web3Exception as error:
                why = describe_revert(error, contract.abi)
                return [f"the token {token} refuses {who}, and a vault could not hold it: {why}"]
        return []

    def _token(self, w3: Web3, asset: ChecksumAddress) -> ChecksumAddress:
        pool = contract_at(w3, self.pool, load_contract("IUniswapV3Pool")).functions
        tokens: list[ChecksumAddress] = [pool.token0().call(), pool.token1().call()]
        return tokens[tokens[0] == asset]

    def _deploy_oracle(self, chain: Chain, asset: ChecksumAddress) -> ChecksumAddress:
        decimals = [node_of(chain.w3).read("Vault", each, "decimals") for each in (self._token(chain.w3, asset), asset)]
        return self.price.deploy(chain, *decimals)

    def _priced_facts(self, w3: Web3, strategy: Any) -> Iterator[Check]:
        """Yield the pool, the bound, and what the price comes from."""
        yield "pool", strategy.POOL().call(), self.pool
        yield "max cost", strategy.MAX_COST().call(), round(self.max_cost * WAD)
        yield from self.price.facts(w3, strategy.ORACLE().call())

    def to_book(self) -> dict[str, Any]:
        """Return kind, pool and bound."""
        return {**super().to_book(), "pool": self.pool, "max_cost": self.max_cost}


@dataclass(frozen=True)
class Swap(PricedPool):
    """Another token, bought and sold in a Uniswap V3 pool at an oracle's price, through a new `SwapStrategy`.

    Attributes
    ----------
    inner
        What the token is put into: an ERC-4626 vault of it that stands, or one that is deployed over a venue.
    issuer
        Who puts the strategy on the token's list of holders, an account that the node has unlocked: for a devnet.
    """

    inner: Venue | None = None
    issuer: ChecksumAddress | None = None
    kind: ClassVar[str] = "swap"

    @property
    def words(self) -> str:
        """Words for a line of the plan."""
        inner = f", put into {self.inner.words}" if self.inner else ""
        bound = percent(round(self.max_cost * WAD))
        return f"new strategy that swaps on Uniswap V3 pool {self.pool} within {bound}{inner}"

    @property
    def _is_listed(self) -> bool:
        return self.issuer is not None

    def check(self, w3: Web3, asset: ChecksumAddress) -> list[str]:
        """Whether the pool will do, and the inner venue is one of the token."""
        reasons = super().check(w3, asset)
        if self.inner and not reasons:
            reasons = self.inner.check(w3, self._token(w3, asset))
        return reasons

    def deploy(self, chain: Chain, asset: ChecksumAddress, title: str, symbol: str) -> Contract:
        """Deploy the oracle, the inner strategy where there is one, and the strategy."""
        oracle, token = self._deploy_oracle(chain, asset), self._token(chain.w3, asset)
        inner = self.inner.deploy(chain, token, f"{title} (inner)", f"{symbol}-inner").address if self.inner else ZERO
        cost = round(self.max_cost * WAD)
        made = chain.deploy(load_contract("SwapStrategy"), asset, self.pool, inner, oracle, cost, title, symbol)
        if self.issuer:
            listed = chain.at(token, load_contract("StandInUsdy")).functions.setAllowed(made.address, True)
            chain.send(listed, sender=Unlocked(chain.w3, self.issuer))
        return made

    def facts(self, w3: Web3, strategy: ChecksumAddress) -> Iterator[Check]:
        """Yield the pool, the bound, what the price comes from, the token's list, and the inner vault."""
        functions = contract_at(w3, strategy, load_contract("SwapStrategy")).functions
        yield from self._priced_facts(w3, functions)
        if self.issuer:
            token = contract_at(w3, functions.TOKEN().call(), load_contract("StandInUsdy")).functions
            yield "on the token's list", token.isAllowed(strategy).call(), True
        inner = functions.INNER().call()
        if self.inner is None:
            yield "inner vault", inner, ZERO
            return
        for what, found, planned in self.inner.facts(w3, inner):
            yield f"inner vault: {what}", found, planned

    def to_book(self) -> dict[str, Any]:
        """Return kind, pool, bound and inner venue."""
        return {**super().to_book(), **({"inner": self.inner.to_book()} if self.inner else {})}


@dataclass(frozen=True)
class Liquidity(PricedPool):
    """A range of a Uniswap V3 pool, through a new `UniswapV3LiquidityStrategy`.

    Attributes
    ----------
    low, high
        Ends of the range: prices of a whole token in whole assets. The nearest ticks are taken.
    max_deviation
        Most that the pool may be off the oracle's price when somebody enters or leaves, as a share.
    """

    low: float = 0.0
    high: float = 0.0
    max_deviation: float = 0.0
    kind: ClassVar[str] = "uniswap-v3-liquidity"

    @property
    def words(self) -> str:
        """Words for a line of the plan."""
        bound = percent(round(self.max_cost * WAD))
        ends = f"{self.low:g} to {self.high:g}"
        return f"new strategy with liquidity of {ends} on Uniswap V3 pool {self.pool} within {bound}"

    def _check_costs(self, fee: float) -> list[str]:
        if not 0 < self.low < self.high:
            return [f"the range {self.low:g} to {self.high:g} is none"]
        # As the strategy's own `_costWithin`.
        off = self.max_deviation
        least = fee + off + off**2 * (1 + 2 * off) / 4 / (1 - math.sqrt(self.low / self.high))
        if off <= 0 or not least < self.max_cost <= HIGHEST_COST:
            return [
                f"max_cost {self.max_cost:.2%} must be more than {least:.2%}, which an entry costs at max_deviation "
                f"{off:.2%}, and {HIGHEST_COST:.0%} at most"
            ]
        return []

    def deploy(self, chain: Chain, asset: ChecksumAddress, title: str, symbol: str) -> Contract:
        """Deploy the oracle and the strategy."""
        bounds = (round(self.max_cost * WAD), round(self.max_deviation * WAD))
        oracle, ticks = self._deploy_oracle(chain, asset), self._ticks(chain.w3, asset)
        code = load_contract("UniswapV3LiquidityStrategy")
        return chain.deploy(code, asset, self.pool, oracle, ticks, *bounds, title, symbol)

    def _ticks(self, w3: Web3, asset: ChecksumAddress) -> tuple[int, int]:
        token = self._token(w3, asset)
        decimals = {each: node_of(w3).read("Vault", each, "decimals") for each in (token, asset)}
        pool = contract_at(w3, self.pool, load_contract("IUniswapV3Pool")).functions
        spacing, sign = pool.tickSpacing().call(), 1 if pool.token0().call() == token else -1
        scale = 10.0 ** (decimals[asset] - decimals[token])
        ends = sorted(sign * math.log(price * scale, 1.0001) for price in (self.low, self.high))
        return round(ends[0] / spacing) * spacing, round(ends[1] / spacing) * spacing

    def facts(self, w3: Web3, strategy: ChecksumAddress) -> Iterator[Check]:
        """Yield the pool, the bounds, the range, and what the price comes from."""
        functions = contract_at(w3, strategy, load_contract("UniswapV3LiquidityStrategy")).functions
        yield from self._priced_facts(w3, functions)
        yield "max deviation", functions.MAX_DEVIATION().call(), round(self.max_deviation * WAD)
        found = (functions.TICK_LOWER().call(), functions.TICK_UPPER().call())
        yield "range", found, self._ticks(w3, functions.asset().call())

    def to_book(self) -> dict[str, Any]:
        """Return kind, pool, bounds and range."""
        return {**super().to_book(), "range": [self.low, self.high], "max_deviation": self.max_deviation}
