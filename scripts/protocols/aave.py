"""Separate Aave V3 markets from the bytecode of `@aave/core-v3`: USDC to lend, WETH as collateral.

Each market has its own addresses provider, pool, configurator, access control and oracle; only the stateless logic
libraries are shared. The order of the steps follows Aave's own deployment.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract

from scripts.protocols.artifacts import USDC, USDC_UNIT, WETH, WETH_UNIT, Artifact, load_artifact
from scripts.protocols.chain import Chain, Sender, Unlocked

RAY = 10**27
BASIS_POINTS = 10_000
ETH_PRICE = 2_000  # USD, in every market's oracle and in the Uniswap pool
PRICE_UNIT = 10**8
ZERO = Web3.to_checksum_address("0x" + "00" * 20)
VARIABLE = 2  # interest rate mode


def _core(path: str) -> Artifact:
    return load_artifact("@aave/core-v3", f"artifacts/contracts/{path}.sol/{path.rsplit('/', 1)[-1]}.json")


POOL = _core("protocol/pool/Pool")
CONFIGURATOR = _core("protocol/pool/PoolConfigurator")
RATE_STRATEGY = _core("protocol/pool/DefaultReserveInterestRateStrategy")
ADDRESSES_PROVIDER = _core("protocol/configuration/PoolAddressesProvider")
ACL_MANAGER = _core("protocol/configuration/ACLManager")
ORACLE = _core("misc/AaveOracle")
DATA_PROVIDER = _core("misc/AaveProtocolDataProvider")
PRICE_FEED = _core("mocks/oracle/CLAggregators/MockAggregator")  # Aave's test feed: a fixed answer
A_TOKEN = _core("protocol/tokenization/AToken")
STABLE_DEBT = _core("protocol/tokenization/StableDebtToken")
VARIABLE_DEBT = _core("protocol/tokenization/VariableDebtToken")
LOGIC = ("Supply", "Borrow", "Liquidation", "EMode", "Bridge", "Pool", "Configurator", "FlashLoan")  # FlashLoan last


@dataclass(frozen=True)
class RateCurve:
    """A reserve's interest-rate curve; fractions, rates per year (APR).

    The kink stands early and the second slope is steep, so that 25 % APR leaves at least a tenth of the supply free.
    """

    optimal_utilisation: float
    base: float
    slope1: float
    slope2: float
    reserve_factor: float


CURVES: Mapping[str, RateCurve] = {
    "aave-a": RateCurve(0.80, 0.000, 0.040, 0.75, 0.10),  # Aave's own first curve for stablecoins
    "aave-b": RateCurve(0.70, 0.005, 0.050, 1.50, 0.15),
    "aave-c": RateCurve(0.85, 0.000, 0.035, 1.20, 0.05),
}


@dataclass(frozen=True)
class AaveMarket:
    """One market and the two outsiders that make it real: a supplier of USDC and a borrower with WETH."""

    name: str
    chain: Chain
    asset: Contract
    pool: Contract
    configurator: Contract
    addresses_provider: Contract
    oracle: Contract
    data_provider: Contract
    a_token: Contract
    variable_debt_token: Contract
    supplier: Sender
    borrower: Sender
    cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)  # of what never changes on chain

    def supply_rate(self) -> float:
        """Supply rate that the pool pays now, APR."""
        return float(self.reserve().currentLiquidityRate / RAY)

    def reserve(self) -> Any:
        """Return the pool's `ReserveData` of the asset, a named tuple."""
        return self.pool.functions.getReserveData(self.asset.address).call()

    def to_book(self) -> dict[str, Any]:
        """Return the market's entry in the address book."""
        curve = CURVES.get(self.name)
        return {
            **{place: getattr(self, place).address for place in _CONTRACTS},
            "asset": self.asset.address,
            "supplier": self.supplier.address,
            "borrower": self.borrower.address,
            "curve": asdict(curve) if curve else None,
        }

    @classmethod
    def from_book(cls, chain: Chain, name: str, entry: Mapping[str, Any]) -> Self:
        """Rebuild a market from its entry in the address book."""
        contracts: dict[str, Any] = {place: chain.at(entry[place], code) for place, code in _CONTRACTS.items()}
        return cls(
            name=name,
            chain=chain,
            asset=chain.at(entry["asset"], USDC),
            supplier=Unlocked(chain.w3, entry["supplier"]),
            borrower=Unlocked(chain.w3, entry["borrower"]),
            **contracts,
        )


_CONTRACTS = {
    "pool": POOL,
    "configurator": CONFIGURATOR,
    "addresses_provider": ADDRESSES_PROVIDER,
    "oracle": ORACLE,
    "data_provider": DATA_PROVIDER,
    "a_token": A_TOKEN,
    "variable_debt_token": VARIABLE_DEBT,
}


def deploy_libraries(chain: Chain) -> dict[str, ChecksumAddress]:
    """Deploy the pool's logic libraries; returns name -> address, to be shared by any number of markets."""
    libraries: dict[str, ChecksumAddress] = {}
    for logic in LOGIC:
        artifact = _core(f"protocol/libraries/logic/{logic}Logic")
        libraries[artifact.name] = chain.deploy(artifact, libraries=libraries).address
    return libraries


def deploy_market(
    chain: Chain,
    name: str,
    curve: RateCurve,
    libraries: Mapping[str, ChecksumAddress],
    usdc: Contract,
    weth: Contract,
    supplier: Sender,
    borrower: Sender,
) -> AaveMarket:
    """Deploy an empty market whose admin is the chain's sender, with the reserves `usdc` and `weth`."""
    admin, send = chain.sender.address, chain.send
    provider = chain.deploy(ADDRESSES_PROVIDER, name, admin)
    send(provider.functions.setACLAdmin(admin))
    acl = chain.deploy(ACL_MANAGER, provider.address)
    send(provider.functions.setACLManager(acl.address))
    send(acl.functions.addPoolAdmin(admin))
    send(acl.functions.addEmergencyAdmin(admin))

    feeds = [chain.deploy(PRICE_FEED, price * PRICE_UNIT).address for price in (1, ETH_PRICE)]
    assets = [usdc.address, weth.address]
    oracle = chain.deploy(ORACLE, provider.address, assets, feeds, ZERO, ZERO, PRICE_UNIT)
    send(provider.functions.setPriceOracle(oracle.address))

    pool_code = chain.deploy(POOL, provider.address, libraries=libraries)
    send(provider.functions.setPoolImpl(pool_code.address))
    configurator_code = chain.deploy(CONFIGURATOR, libraries=libraries)
    send(provider.functions.setPoolConfiguratorImpl(configurator_code.address))
    pool = chain.at(provider.functions.getPool().call(), POOL)
    configurator = chain.at(provider.functions.getPoolConfigurator().call(), CONFIGURATOR)
    data_provider = chain.deploy(DATA_PROVIDER, provider.address)
    send(provider.functions.setPoolDataProvider(data_provider.address))

    tokens = [chain.deploy(code, pool.address).address for code in (A_TOKEN, STABLE_DEBT, VARIABLE_DEBT)]
    rates = chain.deploy(
        RATE_STRATEGY,
        provider.address,
        _ray(curve.optimal_utilisation),
        *map(_ray, (curve.base, curve.slope1, curve.slope2)),
        *map(_ray, (0.01, 1.0, 0.01, 0.05, 0.20)),  # stable borrowing stays switched off
    ).address
    send(
        configurator.functions.initReserves(
            [
                (*tokens, decimals, rates, asset, admin, ZERO, *_token_names(name, symbol), b"")
                for asset, symbol, decimals in ((usdc.address, "USDC", 6), (weth.address, "WETH", 18))
            ]
        )
    )
    send(configurator.functions.configureReserveAsCollateral(weth.address, 8_000, 8_250, 10_500))
    send(configurator.functions.setReserveBorrowing(usdc.address, True))
    send(configurator.functions.setReserveFactor(usdc.address, round(curve.reserve_factor * BASIS_POINTS)))

    reserve = pool.functions.getReserveData(usdc.address).call()
    return AaveMarket(
        name=name,
        chain=chain,
        asset=usdc,
        pool=pool,
        configurator=configurator,
        addresses_provider=provider,
        oracle=oracle,
        data_provider=data_provider,
        a_token=chain.at(reserve.aTokenAddress, A_TOKEN),
        variable_debt_token=chain.at(reserve.variableDebtTokenAddress, VARIABLE_DEBT),
        supplier=supplier,
        borrower=borrower,
    )


def fill_market(market: AaveMarket, supply: int, borrow: int, collateral: int) -> None:
    """Let the outsiders in: `supply` and `borrow` in whole USDC, `collateral` in whole WETH.

    The supplier must own the USDC and the borrower the WETH.
    """
    chain, pool, usdc = market.chain, market.pool, market.asset
    weth = chain.at(pool.functions.getReservesList().call()[1], WETH)
    chain.approve(usdc, pool.address, market.supplier)
    chain.approve(usdc, pool.address, market.borrower)  # to repay
    chain.approve(weth, pool.address, market.borrower)
    lender, debtor = market.supplier, market.borrower
    chain.send(pool.functions.supply(usdc.address, supply * USDC_UNIT, lender.address, 0), sender=lender)
    chain.send(pool.functions.supply(weth.address, collateral * WETH_UNIT, debtor.address, 0), sender=debtor)
    chain.send(pool.functions.borrow(usdc.address, borrow * USDC_UNIT, VARIABLE, 0, debtor.address), sender=debtor)


def _token_names(market: str, symbol: str) -> tuple[str, ...]:
    return (
        *(f"{market} {symbol}", f"a{symbol}"),
        *(f"{market} variable debt {symbol}", f"vd{symbol}"),
        *(f"{market} stable debt {symbol}", f"sd{symbol}"),
    )


def _ray(fraction: float) -> int:
    return round(fraction * 10**9) * 10**18
