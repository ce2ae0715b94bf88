"""A lending market as its outside borrower sees it: what the supply rate depends on, and the call that moves it."""

from dataclasses import dataclass
from typing import Protocol

from web3.contract.contract import ContractFunction

from scripts.protocols.chain import Chain, Sender


class Curve(Protocol):
    """A market's rate curve as it stands on chain."""

    def supply_rate(self, debt: int, liquidity: int) -> int:
        """Return the supply rate in the market's unit, by the market's own integer arithmetic.

        Parameters
        ----------
        debt, liquidity
            What is lent out, and what can be withdrawn, base units.
        """


@dataclass(frozen=True)
class Loans:
    """The inputs of a market's supply rate, at one moment.

    Attributes
    ----------
    unit
        Of rates: so much is an APR of 1.
    rate
        Supply rate now.
    debt, own
        All debt, and the borrower's part of it, base units.
    liquidity
        Base units that suppliers can withdraw.
    credit
        Base units that the borrower's collateral allows besides.
    """

    curve: Curve
    unit: int
    rate: int
    debt: int
    own: int
    liquidity: int
    credit: int

    def rate_at(self, debt: int) -> int:
        """Return the supply rate if the debt were `debt` and the difference were borrowed or repaid."""
        return self.curve.supply_rate(debt, self.liquidity + self.debt - debt)

    def debt_for(self, rate: int, low: int, high: int) -> int:
        """Return the smallest debt in [low, high] whose rate is at least `rate`; `high` if there is none."""
        while low < high:
            middle = (low + high) // 2
            if self.rate_at(middle) < rate:
                low = middle + 1
            else:
                high = middle
        return low


class LoanMarket(Protocol):
    """A lending market with an outside borrower."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def chain(self) -> Chain:
        """Where it is."""

    @property
    def borrower(self) -> Sender:
        """Who borrows and repays."""

    def supply_rate(self) -> float:
        """Return the supply rate, APR."""

    def loans(self) -> Loans:
        """Read what the supply rate depends on."""

    def borrow(self, amount: int) -> ContractFunction:
        """Return the call by which the borrower borrows, base units."""

    def repay(self, amount: int | None) -> ContractFunction:
        """Return the call by which the borrower repays, base units; all that it owes for None."""
