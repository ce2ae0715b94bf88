"""The outside borrower: makes a market's on-chain supply rate follow a series, by borrowing and repaying for real.

A borrow moves liquidity into debt and a repayment moves it back, so their sum stays, and the supply rate increases with
the debt alone. The debt that gives the wanted rate is found by bisection over the market's own integer arithmetic,
hence exactly, for any supply that others (the vault too) left in the market.
"""

from dataclasses import dataclass

from web3.contract.contract import ContractFunction

from scripts.errors import RateUnreachableError
from scripts.protocols.loans import LoanMarket, Loans

MAX_UTILISATION = 0.97
TOLERANCE = 1e-4  # relative error of the rate that is left as it is
_GAS = 1_000_000
_ATTEMPTS = 3  # interest that accrues between reading and mining is corrected by a second, smaller move


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
class Loan:
    """The next step of the borrower.

    Attributes
    ----------
    step
        Base units to borrow (positive) or to repay (negative).
    call
        The transaction, where there is one.
    clamped
        The wanted rate is out of reach; this leads to the nearest that is not.
    """

    step: int
    call: ContractFunction | None
    clamped: bool


def follow_supply_rate(
    market: LoanMarket,
    target_apr: float,
    *,
    max_utilisation: float = MAX_UTILISATION,
    clamp: bool = False,
    tolerance: float = TOLERANCE,
) -> RateMove:
    """Let the market's borrower borrow or repay until the market pays `target_apr` to suppliers.

    Parameters
    ----------
    target_apr
        Supply rate to reach: APR, fraction per year, as the market shows it.
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
    moved, clamped = 0, False
    for _ in range(_ATTEMPTS):
        loans = market.loans()
        loan = plan_loan(market, loans, target_apr, max_utilisation=max_utilisation, clamp=clamp, tolerance=tolerance)
        clamped = loan.clamped
        if loan.call is None:
            break
        market.chain.send(loan.call, sender=market.borrower, gas=_GAS)
        moved += loan.step
        if clamped:
            loans = market.loans()
            break
    else:
        loans = market.loans()
    return RateMove(market.name, target_apr, loans.rate / loans.unit, moved, clamped, loans.liquidity)


def plan_loan(
    market: LoanMarket,
    loans: Loans,
    target_apr: float,
    *,
    max_utilisation: float = MAX_UTILISATION,
    clamp: bool = False,
    tolerance: float = TOLERANCE,
) -> Loan:
    """Return what leads from `loans`, as just read, to the rate; for the rest see `follow_supply_rate`."""
    if not 0 <= target_apr < float("inf"):
        raise ValueError(f"A supply rate is a number from 0 up; {target_apr} is not.")
    wanted = round(target_apr * loans.unit)
    if _close(loans.rate, wanted, tolerance):
        return Loan(0, None, False)
    lowest = max(loans.debt - loans.own, 0)
    ceiling = int((loans.liquidity + loans.debt) * max_utilisation)
    highest = max(lowest, min(ceiling, loans.debt + loans.credit))
    debt = loans.debt_for(wanted, lowest, highest)
    clamped = not _close(loans.rate_at(debt), wanted, tolerance)
    if clamped and not clamp:
        low, high = (loans.rate_at(end) / loans.unit for end in (lowest, highest))
        raise RateUnreachableError(
            f"{market.name} cannot pay {target_apr:.4%}: its borrower reaches {low:.4%} to {high:.4%}. "
            "Supply more, give the borrower collateral, or clamp the series."
        )
    step = debt - loans.debt
    return Loan(step, _call(market, loans, step), clamped)


def lend_out(market: LoanMarket, loans: Loans) -> Loan:
    """Return what takes everything that suppliers could withdraw, as far as the borrower's credit goes."""
    step = min(loans.liquidity, loans.credit)
    return Loan(step, _call(market, loans, step), step < loans.liquidity)


def _call(market: LoanMarket, loans: Loans, step: int) -> ContractFunction | None:
    if step == 0:
        return None
    return market.borrow(step) if step > 0 else market.repay(None if -step >= loans.own else -step)


def _close(rate: int, wanted: int, tolerance: float) -> bool:
    return abs(rate - wanted) <= tolerance * wanted
