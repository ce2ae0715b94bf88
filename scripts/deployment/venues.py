"""Venues, on which strategies stand: their checks against the chain, their deployment, and what is read back."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception

from keeper.chain.rpc import UNREADABLE
from scripts.deployment.prices import Check
from scripts.protocols.aave import POOL, ZERO
from scripts.protocols.artifacts import load_contract
from scripts.protocols.chain import Chain, contract_at, node_of

MIN_MARKET_SUPPLY = 10**10
"""As `CompoundV2Strategy.MIN_MARKET_SUPPLY`."""


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
