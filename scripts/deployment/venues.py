"""Venues, on which strategies stand: their checks against the chain, their deployment, and what is read back."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from eth_typing import ChecksumAddress, HexStr
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception

from agent.units import WAD
from keeper.chain.rpc import UNREADABLE
from keeper.inspect.words import percent
from scripts.deployment.prices import Check, Price
from scripts.protocols.aave import POOL, ZERO
from scripts.protocols.artifacts import load_contract
from scripts.protocols.chain import Chain, Unlocked, contract_at, describe_revert, node_of

MIN_MARKET_SUPPLY = 10**10
"""As `CompoundV2Strategy.MIN_MARKET_SUPPLY`."""
ANYBODY = Web3.to_checksum_address("0x" + "b0" * 20)
"""An address that is on nobody's list."""


class Venue(ABC):
    """A place for a strategy."""

    kind: ClassVar[str]
    """As presets and address books name it."""

    @property
    @abstractmethod
    def place(self) -> ChecksumAddress:
        """The contract that two strategies of a vault must not share: one risk would have two caps."""

    @property
    @abstractmethod
    def words(self) -> str:
        """Words for a line of the plan."""

    @abstractmethod
    def check(self, w3: Web3, asset: ChecksumAddress) -> list[str]:
        """Return why a strategy of `asset` cannot be built here; nothing where it can."""

    @abstractmethod
    def deploy(self, chain: Chain, asset: ChecksumAddress, title: str, symbol: str) -> Contract:
        """Return the strategy's contract, deployed as the chain's sender unless it stands already."""

    def facts(self, w3: Web3, strategy: ChecksumAddress) -> Iterator[Check]:
        """Yield what the chain says of a deployed strategy, beside what was planned."""
        yield from ()

    def to_book(self) -> dict[str, Any]:
        """Return the entries of the address book that are this venue's own."""
        return {"kind": self.kind}


@dataclass(frozen=True)
class Existing(Venue):
    """An ERC-4626 vault as it stands."""

    target: ChecksumAddress
    kind: ClassVar[str] = "erc-4626"

    @property
    def place(self) -> ChecksumAddress:
        """The vault."""
        return self.target

    @property
    def words(self) -> str:
        """Words for a line of the plan."""
        return f"ERC-4626 {self.target}"

    def check(self, w3: Web3, asset: ChecksumAddress) -> list[str]:
        """Whether it is an ERC-4626 vault of the asset."""
        node = node_of(w3)
        try:
            found = node.read("Vault", self.target, "asset")
            node.read("Vault", self.target, "previewRedeem", 10**18)
            node.read("Vault", self.target, "maxWithdraw", self.target)
            node.read("Vault", self.target, "maxDeposit", self.target)
        except UNREADABLE:
            return [f"{self.target} is not an ERC-4626 vault on chain {w3.eth.chain_id}"]
        return [] if found == asset else [f"its asset is {found}, not {asset}"]

    def deploy(self, chain: Chain, asset: ChecksumAddress, title: str, symbol: str) -> Contract:
        """Return the vault."""
        return chain.at(self.target, load_contract("IVault").abi)


@dataclass(frozen=True)
class AaveV3(Venue):
    """A reserve of an Aave V3 pool, through a new `AaveV3Strategy`."""

    pool: ChecksumAddress
    kind: ClassVar[str] = "aave-v3"

    @property
    def place(self) -> ChecksumAddress:
        """The pool."""
        return self.pool

    @property
    def words(self) -> str:
        """Words for a line of the plan."""
        return f"new strategy on Aave V3 pool {self.pool}"

    def check(self, w3: Web3, asset: ChecksumAddress) -> list[str]:
        """Whether it is an Aave V3 pool that lends the asset."""
        try:
            reserve = contract_at(w3, self.pool, POOL).functions.getReserveData(asset).call()
        except Web3Exception:
            return [f"{self.pool} is not an Aave V3 pool on chain {w3.eth.chain_id}"]
        if reserve.aTokenAddress == ZERO:
            return [f"the Aave V3 pool {self.pool} does not lend the asset {asset}"]
        return []

    def deploy(self, chain: Chain, asset: ChecksumAddress, title: str, symbol: str) -> Contract:
        """Deploy the strategy."""
        return chain.deploy(load_contract("AaveV3Strategy"), self.pool, asset, title, symbol)

    def facts(self, w3: Web3, strategy: ChecksumAddress) -> Iterator[Check]:
        """Yield the pool."""
        yield "pool", contract_at(w3, strategy, load_contract("AaveV3Strategy")).functions.POOL().call(), self.pool

    def to_book(self) -> dict[str, Any]:
        """Return kind and pool."""
        return {**super().to_book(), "pool": self.pool}


@dataclass(frozen=True)
class CompoundV2(Venue):
    """A market of Compound V2 or a descendant, through a new `CompoundV2Strategy`.

    Attributes
    ----------
    blocks_per_year
        Blocks in a year of 365 days on the chain: the market's rates are for a block.
    """

    market: ChecksumAddress
    blocks_per_year: int
    kind: ClassVar[str] = "compound-v2"

    @property
    def place(self) -> ChecksumAddress:
        """The market."""
        return self.market

    @property
    def words(self) -> str:
        """Words for a line of the plan."""
        return f"new strategy on Compound V2 market {self.market}"

    def check(self, w3: Web3, asset: ChecksumAddress) -> list[str]:
        """Whether it is a market of the asset, with enough supply to deposit into."""
        market = contract_at(w3, self.market, load_contract("ICToken")).functions
        try:
            found, supply, _ = (
                market.underlying().call(),
                market.totalSupply().call(),
                market.accrualBlockNumber().call(),
            )
        except Web3Exception:
            return [f"{self.market} is not a Compound V2 market on chain {w3.eth.chain_id}"]
        if found != asset:
            return [f"the market {self.market} lends {found}, not {asset}"]
        if supply < MIN_MARKET_SUPPLY:
            return [f"the market {self.market} is next to empty: one gift would take what is deposited into it"]
        return []

    def deploy(self, chain: Chain, asset: ChecksumAddress, title: str, symbol: str) -> Contract:
        """Deploy the strategy."""
        return chain.deploy(load_contract("CompoundV2Strategy"), self.market, self.blocks_per_year, title, symbol)

    def facts(self, w3: Web3, strategy: ChecksumAddress) -> Iterator[Check]:
        """Yield the market, and the blocks of a year."""
        functions = contract_at(w3, strategy, load_contract("CompoundV2Strategy")).functions
        yield "market", functions.MARKET().call(), self.market
        yield "blocks per year", functions.BLOCKS_PER_YEAR().call(), self.blocks_per_year

    def to_book(self) -> dict[str, Any]:
        """Return kind, market and blocks."""
        return {**super().to_book(), "market": self.market, "blocks_per_year": self.blocks_per_year}


@dataclass(frozen=True)
class Swap(Venue):
    """Another token, bought and sold in a Uniswap V3 pool at an oracle's price, through a new `SwapStrategy`.

    Attributes
    ----------
    max_cost
        Most that a trade may cost against the oracle's price, its fee included, as a share.
    price
        Of the token in the asset.
    inner
        What the token is put into: an ERC-4626 vault of it that stands, or one that is deployed over a venue.
    issuer
        Who puts the strategy on the token's list of holders, an account that the node has unlocked: for a devnet.
    """

    pool: ChecksumAddress
    max_cost: float
    price: Price
    inner: Venue | None = None
    issuer: ChecksumAddress | None = None
    kind: ClassVar[str] = "swap"

    @property
    def place(self) -> ChecksumAddress:
        """The pool, which alone buys the token back."""
        return self.pool

    @property
    def words(self) -> str:
        """Words for a line of the plan."""
        inner = f", put into {self.inner.words}" if self.inner else ""
        bound = percent(round(self.max_cost * WAD))
        return f"new strategy that swaps on Uniswap V3 pool {self.pool} within {bound}{inner}"

    def check(self, w3: Web3, asset: ChecksumAddress) -> list[str]:
        """Whether it is a pool of the asset, there is a price, and the token goes to whoever buys it there."""
        pool = contract_at(w3, self.pool, load_contract("IUniswapV3Pool")).functions
        try:
            tokens, fee = (pool.token0().call(), pool.token1().call()), pool.fee().call()
        except Web3Exception:
            return [f"{self.pool} is not a Uniswap V3 pool on chain {w3.eth.chain_id}"]
        if asset not in tokens:
            return [f"the pool {self.pool} trades {tokens[0]} and {tokens[1]}, not {asset}"]
        reasons = []
        if not fee / 1e6 < self.max_cost < 1:
            reasons.append(f"max_cost {self.max_cost:.2%} must be more than the pool's fee of {fee / 1e6:.2%}")
        token = tokens[1 - tokens.index(asset)]
        reasons += self.price.check(w3)
        if self.inner:
            reasons += self.inner.check(w3, token)
        return reasons + self._check_holders(w3, token)

    def _check_holders(self, w3: Web3, token: ChecksumAddress) -> list[str]:
        """Let the pool pay out of the token, without sending it: first to itself, then to a new address."""
        contract = contract_at(w3, token, load_contract("StandInUsdy"))
        if contract.functions.balanceOf(self.pool).call() == 0:
            return [f"the pool {self.pool} has none of the token {token}"]
        new = [] if self.issuer else [(ANYBODY, "a strategy that its issuer has not listed")]
        for receiver, who in ((self.pool, "its pool"), *new):
            data = contract.encode_abi("transfer", args=[receiver, 1])
            try:
                w3.eth.call({"from": self.pool, "to": token, "data": HexStr(data)})
            except Web3Exception as error:
                why = describe_revert(error, contract.abi)
                return [f"the token {token} refuses {who}, and a vault could not hold it: {why}"]
        return []

    def deploy(self, chain: Chain, asset: ChecksumAddress, title: str, symbol: str) -> Contract:
        """Deploy the oracle, the inner strategy where there is one, and the strategy."""
        pool = contract_at(chain.w3, self.pool, load_contract("IUniswapV3Pool")).functions
        first, second = pool.token0().call(), pool.token1().call()
        token = second if first == asset else first
        decimals = [node_of(chain.w3).read("Vault", each, "decimals") for each in (token, asset)]
        oracle = self.price.deploy(chain, *decimals)
        inner = self.inner.deploy(chain, token, f"{title} (inner)", f"{symbol}-inner").address if self.inner else ZERO
        cost = round(self.max_cost * WAD)
        made = chain.deploy(load_contract("SwapStrategy"), asset, self.pool, inner, oracle, cost, title, symbol)
        if self.issuer:
            listed = chain.at(token, load_contract("StandInUsdy")).functions.setAllowed(made.address, True)
            chain.send(listed, sender=Unlocked(chain.w3, self.issuer))
        return made

    def facts(self, w3: Web3, strategy: ChecksumAddress) -> Iterator[Check]:
        """Yield the pool, the bound, what the price comes from, and whether the strategy may hold the token."""
        functions = contract_at(w3, strategy, load_contract("SwapStrategy")).functions
        yield "pool", functions.POOL().call(), self.pool
        yield "max cost", functions.MAX_COST().call(), round(self.max_cost * WAD)
        yield from self.price.facts(w3, functions.ORACLE().call())
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
        inner = {"inner": self.inner.to_book()} if self.inner else {}
        return {**super().to_book(), "pool": self.pool, "max_cost": self.max_cost, **inner}
