"""A batch of vaults, and what their walls leave for a rebalance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from agent.columns import share, total
from agent.errors import NotFiniteError, ShapeError
from agent.limits import Limits
from agent.units import BoolArray, FloatArray, rows


@dataclass(frozen=True)
class Headroom:
    """What the vault's walls leave for a rebalance now, `(B,)` each.

    Attributes
    ----------
    wait
        Seconds until the cooldown is over; zero or less when it is.
    turnover, loss
        Shares of NAV that may be moved and lost, `inf` where there is no bound.
    """

    wait: FloatArray
    turnover: FloatArray
    loss: FloatArray

    @classmethod
    def unbounded(cls, batch: int) -> Headroom:
        """Return the headroom of vaults without cooldown and budgets."""
        return cls(np.zeros(batch), np.full(batch, np.inf), np.full(batch, np.inf))


@dataclass(frozen=True)
class PortfolioState:
    """A batch of vaults. Money in whole asset units. The arrays are not to be changed: what follows from them is kept.

    Attributes
    ----------
    assets
        `(B, n)` value of the position in each strategy.
    idle
        `(B,)` assets that the vault itself holds.
    supply
        `(B,)` vault shares, so that NAV over supply is the share price.
    mark
        `(B,)` high-water mark of the share price.
    halted
        `(B,)` whether the drawdown limit was broken.
    gas_paid
        `(B,)` what the keeper has paid for gas so far.
    rested
        `(B,)` seconds since the last rebalance, `inf` before the first.
    turnover_used, loss_used
        `(B,)` shares of NAV taken out of the budgets and not come back yet.
    """

    assets: FloatArray
    idle: FloatArray
    supply: FloatArray
    mark: FloatArray
    halted: BoolArray
    gas_paid: FloatArray
    rested: FloatArray
    turnover_used: FloatArray
    loss_used: FloatArray

    @classmethod
    def open(cls, nav: FloatArray | float, count: int, batch: int = 1) -> PortfolioState:
        """Return `batch` new vaults over `count` strategies, all idle, at a share price of one."""
        value = rows(nav, batch)
        if not (np.isfinite(value).all() and (value > 0).all()):
            raise NotFiniteError("a portfolio opens with a NAV above zero")
        return cls(
            assets=np.zeros((batch, count)),
            idle=value,
            supply=value.copy(),
            mark=np.ones(batch),
            halted=np.zeros(batch, dtype=np.bool_),
            gas_paid=np.zeros(batch),
            rested=np.full(batch, np.inf),
            turnover_used=np.zeros(batch),
            loss_used=np.zeros(batch),
        )

    @cached_property
    def nav(self) -> FloatArray:
        """Net asset value, `(B,)`."""
        return np.asarray(self.idle + total(self.assets))

    @property
    def net_worth(self) -> FloatArray:
        """NAV less the gas paid, `(B,)`."""
        return self.nav - self.gas_paid

    @cached_property
    def share_price(self) -> FloatArray:
        """Assets per share, `(B,)`; one where there are no shares."""
        return np.divide(self.nav, self.supply, out=np.ones_like(self.supply), where=self.supply > 0)

    @cached_property
    def weights(self) -> FloatArray:
        """Share of NAV in each strategy, `(B, n)`; zero where NAV is zero."""
        return share(self.assets, self.nav[:, None])

    @property
    def idle_weight(self) -> FloatArray:
        """Share of NAV that is idle, `(B,)`; one where NAV is zero."""
        return np.where(self.nav > 0, share(self.idle, self.nav), 1.0)

    @cached_property
    def drawdown(self) -> FloatArray:
        """Fall of the share price under the high-water mark, as a share of the mark, `(B,)`."""
        return np.maximum(0.0, 1.0 - self.share_price / self.mark)

    def headroom(self, limits: Limits) -> Headroom:
        """Return what cooldown and budgets leave for a rebalance now."""
        return Headroom(
            wait=limits.cooldown - self.rested,
            turnover=limits.turnover_budget.available(self.turnover_used),
            loss=limits.loss_budget.available(self.loss_used),
        )

    def flow(self, assets: FloatArray | float) -> PortfolioState:
        """Deposit (above zero) or withdraw (below zero) at the present share price, through idle."""
        amount = rows(assets, len(self.idle))
        if (self.idle + amount < 0).any():
            raise ShapeError("a withdrawal is larger than the idle assets it is paid from")
        return replace(self, idle=self.idle + amount, supply=self.supply + amount / self.share_price)
