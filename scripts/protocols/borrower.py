"""The outside borrower: makes a market's on-chain supply rate follow a series, by borrowing and repaying for real.

A borrow moves liquidity into debt and a repayment moves it back, so their sum stays, and the supply rate increases with
the debt alone. The debt that gives the wanted rate is found by bisection over Aave's own integer
arithmetic, hence exactly, for any supply that others (the vault too) left in the market.
"""

from dataclasses import dataclass
from typing import Any

from web3.types import TxReceipt

from scripts.errors import RateUnreachableError
from scripts.protocols.aave import RATE_STRATEGY, RAY, VARIABLE, AaveMarket

MAX_UTILISATION = 0.97
TOLERANCE = 1e-4  # relative error of the rate that is left as it is
_GAS = 1_000_000
_ATTEMPTS = 3  # interest that accrues between reading and mining is corrected by a second, smaller move
_WAD_RAY = 10**9
_FACTOR = 10_000
_ALL = 2**256 - 1


@dataclass(frozen=True)
class Curve:
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
class RateMove:
    """The result of `follow_supply_rate`.

    Parameters
    ----------
    target, rate
        Wanted and reached supply rate, APR.
    moved
        Base units borrowed (positive) or repaid (negative).
    clamped
        The target was out of reach; `rate` is the nearest that was not.
    liquidity
        Base units that suppliers can withdraw now.
    """

    market: str
    target: float
    rate: float
    moved: int
    clamped: bool
    liquidity: int

    @property
    def relative_error(self) -> float:
        """|rate - target| / target; for the target 0 the rate itself."""
        return abs(self.rate - self.target) / (self.target or 1.0)


@dataclass(frozen=True)
class _Reserve:
    """The inputs of the supply rate, at one moment."""

    curve: Curve
    rate: int
    debt: int
    own: int  # the part of `debt` that is the borrower's
    liquidity: int
    unit: int  # base units in one whole unit of the asset

    def rate_at(self, debt: int) -> int:
        """Supply rate (ray) if the variable debt were `debt` and the difference were borrowed or repaid."""
        return self.curve.supply_rate(debt, self.liquidity + self.debt - debt)

    def debt_for(self, rate: int, low: int, high: int) -> int:
        """Smallest variable debt in [low, high] whose rate is at least `rate`; `high` if there is none."""
        while low < high:
            middle = (low + high) // 2
            if self.rate_at(middle) < rate:
                low = middle + 1
            else:
                high = middle
        return low


def follow_supply_rate(
    market: AaveMarket,
    target_apr: float,
    *,
    max_utilisation: float = MAX_UTILISATION,
    clamp: bool = False,
    tolerance: float = TOLERANCE,
) -> RateMove:
    """Let the market's borrower borrow or repay until the pool pays `target_apr` to suppliers.

    Parameters
    ----------
    target_apr
        Supply rate to reach: APR, fraction per year, as Aave's `currentLiquidityRate`.
    max_utilisation
        The borrower never takes more than this share of what was supplied, so that suppliers can leave.
    clamp
        Go to the nearest reachable rate instead of raising; the move then says `clamped`.
    tolerance
        Relative error under which nothing (more) is sent.

    Raises
    ------
    ValueError
        When `target_apr` is negative or not a number.
    RateUnreachableError
        When no loan of this borrower gives the rate (and not `clamp`).
    """
    if not 0 <= target_apr < float("inf"):
        raise ValueError(f"A supply rate is a number from 0 up; {target_apr} is not.")
    wanted = round(target_apr * RAY)
    moved, clamped = 0, False
    for _ in range(_ATTEMPTS):
        reserve = _read(market)
        rate, liquidity = reserve.rate, reserve.liquidity
        if _close(rate, wanted, tolerance):
            break
        lowest, highest = _range(market, reserve, max_utilisation)
        debt = reserve.debt_for(wanted, lowest, highest)
        clamped = not _close(reserve.rate_at(debt), wanted, tolerance)
        if clamped and not clamp:
            raise RateUnreachableError(
                f"{market.name} cannot pay {target_apr:.4%}: its borrower reaches {reserve.rate_at(lowest) / RAY:.4%} "
                f"to {reserve.rate_at(highest) / RAY:.4%}. "
                "Supply more, give the borrower collateral, or clamp the series."
            )
        step = debt - reserve.debt
        if step != 0:
            _trade(market, step, everything=-step >= reserve.own)
            moved, liquidity = moved + step, liquidity - step
            rate = market.reserve().currentLiquidityRate
        if clamped or step == 0 or _close(rate, wanted, tolerance):
            break
    return RateMove(market.name, target_apr, rate / RAY, moved, clamped, liquidity)


def read_curve(market: AaveMarket, reserve: Any) -> Curve:
    """Read the reserve's curve from its rate strategy and its configuration bits."""
    strategy = market.chain.at(reserve.interestRateStrategyAddress, RATE_STRATEGY).functions
    return Curve(
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


def _read(market: AaveMarket) -> _Reserve:
    reserve = market.reserve()
    configuration = reserve.configuration.data
    key = (reserve.interestRateStrategyAddress, configuration)  # a strategy's parameters are immutable
    if key not in market.cache:
        market.cache[key] = read_curve(market, reserve)
    return _Reserve(
        curve=market.cache[key],
        rate=reserve.currentLiquidityRate,
        debt=market.variable_debt_token.functions.totalSupply().call(),
        own=market.variable_debt_token.functions.balanceOf(market.borrower.address).call(),
        liquidity=market.asset.functions.balanceOf(market.a_token.address).call(),
        unit=10 ** (configuration >> 48 & 0xFF),
    )


def _range(market: AaveMarket, reserve: _Reserve, max_utilisation: float) -> tuple[int, int]:
    """Return the smallest and largest variable debt of the market that its borrower can bring about."""
    lowest = max(reserve.debt - reserve.own, 0)
    ceiling = int((reserve.liquidity + reserve.debt) * max_utilisation)
    _, _, credit, *_ = market.pool.functions.getUserAccountData(market.borrower.address).call()
    price = market.oracle.functions.getAssetPrice(market.asset.address).call()
    affordable = reserve.debt + credit * reserve.unit // price
    return lowest, max(lowest, min(ceiling, affordable))


def _trade(market: AaveMarket, step: int, everything: bool) -> TxReceipt:
    chain, pool, who = market.chain, market.pool.functions, market.borrower
    asset = market.asset.address
    if step > 0:
        call = pool.borrow(asset, step, VARIABLE, 0, who.address)
    else:
        call = pool.repay(asset, _ALL if everything else -step, VARIABLE, who.address)
    return chain.send(call, sender=who, gas=_GAS)


def _close(rate: int, wanted: int, tolerance: float) -> bool:
    return abs(rate - wanted) <= tolerance * wanted
