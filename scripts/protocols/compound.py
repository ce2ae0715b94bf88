"""A Compound V2 market from the bytecode of Venus 2.2.1: USDC to lend, WETH as collateral.

Interest accrues by block. Venus's rate model takes a year for 10,512,000 blocks; here it is what `blocks_per_year`
says, so that a devnet of few blocks earns what its clock says. A market refuses to go on at more than 5e-6 of interest
a block: with 105,120 blocks a year (one in five minutes) that is 53 % a year, with 8,760 only 4 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from web3.contract import Contract

from scripts.protocols.artifacts import USDC_UNIT, WETH_UNIT, Artifact, load_artifact, load_contract
from scripts.protocols.chain import Chain, Sender, Unlocked

MODEL_BLOCKS_PER_YEAR = 60 * 60 * 24 * 365 // 3  # as Venus's rate models have it
NO_CAP = 2**256 - 1
UNIT_DECIMALS = 8  # of a market's own units
FIRST_RATE = 50  # units for one of the asset, at first
MANTISSA = 10**18


def _venus(path: str) -> Artifact:
    name = path.rsplit("/", 1)[-1]
    return load_artifact("@venusprotocol/venus-protocol", f"artifacts/contracts/{path}.sol/{name}.json")


COMPTROLLER = _venus("Comptroller/Comptroller")
LENS = _venus("Lens/ComptrollerLens")
RATE_MODEL = _venus("InterestRateModels/JumpRateModel")
MARKET = _venus("Tokens/VTokens/VBep20Immutable")


@dataclass(frozen=True)
class CompoundMarket:
    """One market of USDC, the outsiders who supply and borrow, and the blocks of its year."""

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
    usdc: Contract,
    weth: Contract,
    eth_price: int,
    blocks_per_year: int,
    supplier: Sender,
    borrower: Sender,
) -> CompoundMarket:
    """Deploy an empty market whose admin is the chain's sender. Kink at 80 %, 5 % APR below it and 109 % above."""
    send = chain.send
    access = chain.deploy(load_contract("StandInVenusAccess"))
    comptroller = chain.deploy(COMPTROLLER)
    send(comptroller.functions._setAccessControl(access.address))
    send(comptroller.functions._setPriceOracle(access.address))
    send(comptroller.functions._setComptrollerLens(chain.deploy(LENS).address))
    slopes = (round(rate * MANTISSA * MODEL_BLOCKS_PER_YEAR / blocks_per_year) for rate in (0.0, 0.0625, 1.09 / 0.2))
    model = chain.deploy(RATE_MODEL, *slopes, round(0.8 * MANTISSA))
    markets: list[Contract] = []
    for token, symbol, unit, price in ((usdc, "vUSDC", USDC_UNIT, 1), (weth, "vWETH", WETH_UNIT, eth_price)):
        rate = unit * MANTISSA // (FIRST_RATE * 10**UNIT_DECIMALS)
        arguments = (token.address, comptroller.address, model.address, rate, symbol, symbol, UNIT_DECIMALS)
        market = chain.deploy(MARKET, *arguments, chain.sender.address)
        send(comptroller.functions._supportMarket(market.address))
        send(access.functions.setPrice(market.address, price * MANTISSA * MANTISSA // unit))
        markets.append(market)
    addresses = [market.address for market in markets]
    send(comptroller.functions._setMarketSupplyCaps(addresses, [NO_CAP] * len(markets)))
    send(comptroller.functions._setCollateralFactor(addresses[1], round(0.8 * MANTISSA)))
    send(markets[0].functions._setReserveFactor(MANTISSA // 10))
    lending, collateral = markets
    return CompoundMarket(chain, comptroller, lending, collateral, blocks_per_year, supplier, borrower)


def fill_market(
    market: CompoundMarket, usdc: Contract, weth: Contract, supply: int, borrow: int, collateral: int
) -> None:
    """Let the outsiders in: `supply` and `borrow` in whole USDC, `collateral` in whole WETH.

    The supplier must own the USDC and the borrower the WETH.
    """
    chain, lender, debtor = market.chain, market.supplier, market.borrower
    chain.approve(usdc, market.market.address, lender)
    chain.approve(usdc, market.market.address, debtor)  # to repay
    chain.approve(weth, market.collateral.address, debtor)
    chain.send(market.market.functions.mint(supply * USDC_UNIT), sender=lender)
    chain.send(market.collateral.functions.mint(collateral * WETH_UNIT), sender=debtor)
    chain.send(market.comptroller.functions.enterMarkets([market.collateral.address]), sender=debtor)
    chain.send(market.market.functions.borrow(borrow * USDC_UNIT), sender=debtor)
