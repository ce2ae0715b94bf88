"""Separate Aave V3 markets from the bytecode of `@aave/core-v3`: one token to lend (USDC mostly), WETH as collateral.

Each market has its own addresses provider, pool, configurator, access control and oracle; only the stateless logic
libraries are shared. The order of the steps follows Aave's own deployment.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from scripts.protocols.artifacts import USDC, WETH, WETH_UNIT, Artifact, load_artifact
from scripts.protocols.chain import Chain, Sender, Unlocked, unit_of
from scripts.protocols.loans import Loans

RAY = 10**27
BASIS_POINTS = 10_000
ETH_PRICE = 2_000  # USD, in every market's oracle and in the Uniswap pool
PRICE_UNIT = 10**8
ZERO = Web3.to_checksum_address("0x" + "00" * 20)
VARIABLE = 2  # interest rate mode
_WAD_RAY = 10**9
_FACTOR = 10_000
_ALL = 2**256 - 1


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
class ReserveCurve:
    """A reserve's rate curve as it stands on chain; rays, the reserve factor in basis points."""

    optimal: int
    base: int
    slope1: int
    slope2: int
    reserve_factor: int

    def supply_rate(self, debt: int, liquidity: int) -> int:
        """Supply rate in ray: `DefaultReserveInterestRateStrategy.calculateInterestRates`, operation by operation.

        Without stable debt and bridged supply, which the devnet's markets do not have.

        Parameters
        ----------
        debt
            Variable debt, base units.
        liquidity
            Underlying that the aToken holds, base units.
        """
        if debt == 0:
            return 0
        usage = ray_div(debt, liquidity + debt)
        if usage > self.optimal:
            excess = ray_div(usage - self.optimal, RAY - self.optimal)
            rate = self.base + self.slope1 + ray_mul(self.slope2, excess)
        else:
            rate = self.base + ray_div(ray_mul(self.slope1, usage), self.optimal)
        overall = ray_div(ray_mul(debt * _WAD_RAY, rate), debt * _WAD_RAY)
        return (ray_mul(overall, usage) * (_FACTOR - self.reserve_factor) + _FACTOR // 2) // _FACTOR


@dataclass(frozen=True)
class AaveMarket:
    """One market and the two outsiders that make it real: a supplier of its asset and a borrower with WETH."""

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

    def loans(self) -> Loans:
        """Read what the supply rate depends on."""
        reserve = self.reserve()
        configuration = reserve.configuration.data
        key = (reserve.interestRateStrategyAddress, configuration)  # a strategy's parameters are immutable
        if key not in self.cache:
            self.cache[key] = read_curve(self, reserve)
        unit = 10 ** (configuration >> 48 & 0xFF)  # base units in one whole unit of the asset
        _, _, credit, *_ = self.pool.functions.getUserAccountData(self.borrower.address).call()
        price = self.oracle.functions.getAssetPrice(self.asset.address).call()
        return Loans(
            curve=self.cache[key],
            unit=RAY,
            rate=reserve.currentLiquidityRate,
            debt=self.variable_debt_token.functions.totalSupply().call(),
            own=self.variable_debt_token.functions.balanceOf(self.borrower.address).call(),
            liquidity=self.asset.functions.balanceOf(self.a_token.address).call(),
            credit=credit * unit // price,
        )

    def borrow(self, amount: int) -> ContractFunction:
        """Return the call by which the borrower borrows, base units."""
        return self.pool.functions.borrow(self.asset.address, amount, VARIABLE, 0, self.borrower.address)

    def repay(self, amount: int | None) -> ContractFunction:
        """Return the call by which the borrower repays, base units; all that it owes for None."""
        owed = _ALL if amount is None else amount
        return self.pool.functions.repay(self.asset.address, owed, VARIABLE, self.borrower.address)

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


def read_curve(market: AaveMarket, reserve: Any) -> ReserveCurve:
    """Read the reserve's curve from its rate strategy and its configuration bits."""
    strategy = market.chain.at(reserve.interestRateStrategyAddress, RATE_STRATEGY).functions
    return ReserveCurve(
        optimal=strategy.OPTIMAL_USAGE_RATIO().call(),
        base=strategy.getBaseVariableBorrowRate().call(),
        slope1=strategy.getVariableRateSlope1().call(),
        slope2=strategy.getVariableRateSlope2().call(),
        reserve_factor=reserve.configuration.data >> 64 & 0xFFFF,
    )


def ray_mul(a: int, b: int) -> int:
    """Aave's `WadRayMath.rayMul`: the product of two rays, rounded half up."""
    return (a * b + RAY // 2) // RAY


def ray_div(a: int, b: int) -> int:
    """Aave's `WadRayMath.rayDiv`: the quotient of two rays, rounded half up."""
    return (a * RAY + b // 2) // b


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
    asset: Contract,
    weth: Contract,
    supplier: Sender,
    borrower: Sender,
) -> AaveMarket:
    """Deploy an empty market whose admin is the chain's sender, to lend `asset`, of a dollar, against `weth`."""
    admin, send = chain.sender.address, chain.send
    provider = chain.deploy(ADDRESSES_PROVIDER, name, admin)
    send(provider.functions.setACLAdmin(admin))
    acl = chain.deploy(ACL_MANAGER, provider.address)
    send(provider.functions.setACLManager(acl.address))
    send(acl.functions.addPoolAdmin(admin))
    send(acl.functions.addEmergencyAdmin(admin))

    feeds = [chain.deploy(PRICE_FEED, price * PRICE_UNIT).address for price in (1, ETH_PRICE)]
    assets = [asset.address, weth.address]
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
    reserves = []
    for token in (asset, weth):
        symbol, decimals = token.functions.symbol().call(), token.functions.decimals().call()
        names = _token_names(name, symbol)
        reserves.append((*tokens, decimals, rates, token.address, admin, ZERO, *names, b""))
    send(configurator.functions.initReserves(reserves))
    send(configurator.functions.configureReserveAsCollateral(weth.address, 8_000, 8_250, 10_500))
    send(configurator.functions.setReserveBorrowing(asset.address, True))
    send(configurator.functions.setReserveFactor(asset.address, round(curve.reserve_factor * BASIS_POINTS)))

    reserve = pool.functions.getReserveData(asset.address).call()
    return AaveMarket(
        name=name,
        chain=chain,
        asset=asset,
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
    """Let the outsiders in: `supply` and `borrow` in whole units of the asset, `collateral` in whole WETH.

    The supplier must own the asset and the borrower the WETH.
    """
    chain, pool, asset = market.chain, market.pool, market.asset
    unit = unit_of(asset)
    weth = chain.at(pool.functions.getReservesList().call()[1], WETH)
    chain.approve(asset, pool.address, market.supplier)
    chain.approve(asset, pool.address, market.borrower)  # to repay
    chain.approve(weth, pool.address, market.borrower)
    lender, debtor = market.supplier, market.borrower
    chain.send(pool.functions.supply(asset.address, supply * unit, lender.address, 0), sender=lender)
    chain.send(pool.functions.supply(weth.address, collateral * WETH_UNIT, debtor.address, 0), sender=debtor)
    chain.send(pool.functions.borrow(asset.address, borrow * unit, VARIABLE, 0, debtor.address), sender=debtor)


def _token_names(market: str, symbol: str) -> tuple[str, ...]:
    return (
        *(f"{market} {symbol}", f"a{symbol}"),
        *(f"{market} variable debt {symbol}", f"vd{symbol}"),
        *(f"{market} stable debt {symbol}", f"sd{symbol}"),
    )


def _ray(fraction: float) -> int:
    return round(fraction * 10**9) * 10**18
