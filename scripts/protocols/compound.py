"""A Compound V2 market from the bytecode of Venus 2.2.1: one token to lend, WETH as collateral.

Interest accrues by block. Venus's rate model takes a year for 10,512,000 blocks; here it is what `blocks_per_year`
says, so that a devnet of few blocks earns what its clock says. A market refuses to go on at more than 5e-6 of interest
a block: with 105,120 blocks a year (one in five minutes) that is 53 % a year, with 8,760 only 4 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from web3.contract import Contract
from web3.contract.contract import ContractFunction

from scripts.protocols.aave import RateCurve
from scripts.protocols.artifacts import WETH_UNIT, Artifact, load_artifact, load_contract
from scripts.protocols.chain import Chain, Sender, Unlocked, unit_of
from scripts.protocols.loans import Loans

MODEL_BLOCKS_PER_YEAR = 60 * 60 * 24 * 365 // 3  # as Venus's rate models have it
NO_CAP = 2**256 - 1
UNIT_DECIMALS = 8  # of a market's own units
FIRST_RATE = 50  # units for one of the asset, at first
MANTISSA = 10**18
CURVE = RateCurve(0.80, 0.0, 0.05, 1.09, 0.10)
_ALL = 2**256 - 1


def _venus(path: str) -> Artifact:
    name = path.rsplit("/", 1)[-1]
    return load_artifact("@venusprotocol/venus-protocol", f"artifacts/contracts/{path}.sol/{name}.json")


COMPTROLLER = _venus("Comptroller/Comptroller")
LENS = _venus("Lens/ComptrollerLens")
RATE_MODEL = _venus("InterestRateModels/JumpRateModel")
MARKET = _venus("Tokens/VTokens/VBep20Immutable")


@dataclass(frozen=True)
class JumpCurve:
    """A market's rate curve as it stands on chain, in its `MANTISSA` per block.

    Attributes
    ----------
    reserves
        Base units that are the market's own.
    """

    kink: int
    base: int
    slope: int
    jump: int
    reserve_factor: int
    reserves: int

    def supply_rate(self, debt: int, liquidity: int) -> int:
        """Return the supply rate of a block: `JumpRateModel.getSupplyRate`, operation by operation."""
        if debt == 0:
            return 0
        usage = debt * MANTISSA // (liquidity + debt - self.reserves)
        rate = min(usage, self.kink) * self.slope // MANTISSA + self.base
        if usage > self.kink:
            rate += (usage - self.kink) * self.jump // MANTISSA
        return usage * (rate * (MANTISSA - self.reserve_factor) // MANTISSA) // MANTISSA


@dataclass(frozen=True)
class CompoundMarket:
    """One market of a token, the outsiders who supply and borrow, and the blocks of its year."""

    chain: Chain
    comptroller: Contract
    market: Contract
    collateral: Contract
    blocks_per_year: int
    supplier: Sender
    borrower: Sender

    def supply_rate(self) -> float:
        """Return the supply rate, APR."""
        return int(self.market.functions.supplyRatePerBlock().call()) * self.blocks_per_year / MANTISSA

    @property
    def name(self) -> str:
        """For messages."""
        return f"the market {self.market.address}"

    def loans(self) -> Loans:
        """Read what the supply rate depends on, with the interest up to the newest block."""
        market, who = self.market.functions, self.borrower.address
        _, credit, _ = self._accounts.functions.getAccountLiquidity(who).call()  # dollars, in 18 decimals
        price = 10 ** (2 * 18 - self._decimals)  # of the asset, a dollar, as the oracle has it
        return Loans(
            curve=replace(self._first_curve, reserves=market.totalReserves().call()),
            unit=MANTISSA // self.blocks_per_year,
            rate=market.supplyRatePerBlock().call(),
            debt=market.totalBorrowsCurrent().call(),
            own=market.borrowBalanceCurrent(who).call(),
            liquidity=market.getCash().call(),
            credit=credit * MANTISSA // price,
        )

    @cached_property
    def _accounts(self) -> Contract:
        """The comptroller, for values without names: of those `chain.at` gives the last one only."""
        return self.chain.w3.eth.contract(self.comptroller.address, abi=list(COMPTROLLER.abi))

    @cached_property
    def _decimals(self) -> int:
        asset = self.chain.at(self.market.functions.underlying().call(), load_contract("IVault").abi)
        return int(asset.functions.decimals().call())

    @cached_property
    def _first_curve(self) -> JumpCurve:
        """The curve with the first reserves: all else stays on a devnet, where nobody changes the model."""
        market = self.market.functions
        model = self.chain.at(market.interestRateModel().call(), RATE_MODEL).functions
        return JumpCurve(
            kink=model.kink().call(),
            base=model.baseRatePerBlock().call(),
            slope=model.multiplierPerBlock().call(),
            jump=model.jumpMultiplierPerBlock().call(),
            reserve_factor=market.reserveFactorMantissa().call(),
            reserves=market.totalReserves().call(),
        )

    def borrow(self, amount: int) -> ContractFunction:
        """Return the call by which the borrower borrows, base units."""
        return self.market.functions.borrow(amount)

    def repay(self, amount: int | None) -> ContractFunction:
        """Return the call by which the borrower repays, base units; all that it owes for None."""
        return self.market.functions.repayBorrow(_ALL if amount is None else amount)

    def to_book(self) -> dict[str, Any]:
        """Return the entry in the address book."""
        return {
            "comptroller": self.comptroller.address,
            "market": self.market.address,
            "collateral": self.collateral.address,
            "blocks_per_year": self.blocks_per_year,
            "supplier": self.supplier.address,
            "borrower": self.borrower.address,
        }

    @classmethod
    def from_book(cls, chain: Chain, entry: Mapping[str, Any]) -> Self:
        """Rebuild from the entry in the address book."""
        return cls(
            chain,
            chain.at(entry["comptroller"], COMPTROLLER),
            chain.at(entry["market"], MARKET),
            chain.at(entry["collateral"], MARKET),
            entry["blocks_per_year"],
            Unlocked(chain.w3, entry["supplier"]),
            Unlocked(chain.w3, entry["borrower"]),
        )


def deploy_market(
    chain: Chain,
    asset: Contract,
    weth: Contract,
    eth_price: int,
    blocks_per_year: int,
    supplier: Sender,
    borrower: Sender,
    curve: RateCurve = CURVE,
) -> CompoundMarket:
    """Deploy an empty market whose admin is the chain's sender, to lend `asset`, of a dollar, against `weth`."""
    send = chain.send
    access = chain.deploy(load_contract("StandInVenusAccess"))
    comptroller = chain.deploy(COMPTROLLER)
    send(comptroller.functions._setAccessControl(access.address))
    send(comptroller.functions._setPriceOracle(access.address))
    send(comptroller.functions._setComptrollerLens(chain.deploy(LENS).address))
    kink = curve.optimal_utilisation
    rates = (curve.base, curve.slope1 / kink, curve.slope2 / (1 - kink))
    slopes = (round(rate * MANTISSA * MODEL_BLOCKS_PER_YEAR / blocks_per_year) for rate in rates)
    model = chain.deploy(RATE_MODEL, *slopes, round(kink * MANTISSA))
    markets: list[Contract] = []
    for token, price in ((asset, 1), (weth, eth_price)):
        symbol, unit = f"v{token.functions.symbol().call()}", unit_of(token)
        rate = unit * MANTISSA // (FIRST_RATE * 10**UNIT_DECIMALS)
        arguments = (token.address, comptroller.address, model.address, rate, symbol, symbol, UNIT_DECIMALS)
        market = chain.deploy(MARKET, *arguments, chain.sender.address)
        send(comptroller.functions._supportMarket(market.address))
        send(access.functions.setPrice(market.address, price * MANTISSA * MANTISSA // unit))
        markets.append(market)
    addresses = [market.address for market in markets]
    send(comptroller.functions._setMarketSupplyCaps(addresses, [NO_CAP] * len(markets)))
    send(comptroller.functions._setCollateralFactor(addresses[1], round(0.8 * MANTISSA)))
    send(markets[0].functions._setReserveFactor(round(curve.reserve_factor * MANTISSA)))
    lending, collateral = markets
    return CompoundMarket(chain, comptroller, lending, collateral, blocks_per_year, supplier, borrower)


def fill_market(
    market: CompoundMarket, asset: Contract, weth: Contract, supply: int, borrow: int, collateral: int
) -> None:
    """Let the outsiders in: `supply` and `borrow` in whole units of the asset, `collateral` in whole WETH.

    The supplier must own the asset and the borrower the WETH.
    """
    unit = unit_of(asset)
    chain, lender, debtor = market.chain, market.supplier, market.borrower
    chain.approve(asset, market.market.address, lender)
    chain.approve(asset, market.market.address, debtor)  # to repay
    chain.approve(weth, market.collateral.address, debtor)
    chain.send(market.market.functions.mint(supply * unit), sender=lender)
    chain.send(market.collateral.functions.mint(collateral * WETH_UNIT), sender=debtor)
    chain.send(market.comptroller.functions.enterMarkets([market.collateral.address]), sender=debtor)
    chain.send(market.market.functions.borrow(borrow * unit), sender=debtor)
