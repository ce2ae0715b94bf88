"""The money math: what a rebalance, interest, gas and the drawdown limit do to a vault.

`step` is pure and batched; the environments, the backtest and the keeper's simulation all run on it, and `replay`
(built on the same two halves, `rebalance` and `accrue`) reproduces the NAV of the Solidity vault from share prices
seen on chain.

What it assumes:

- A position is moved to exactly `weight x NAV`, NAV taken before anything moves; a held position is not touched.
  What is not in a strategy is idle and earns nothing.
- Gas is the keeper's money, not the vault's: NAV does not fall by it, net worth (`NAV - gas paid`) does.
- Deposits and withdrawals change the supply of shares, never the share price. The high-water mark is a share price;
  it rises no faster than `mark_growth_rate` a year, simple. Past `max_drawdown` below it the vault halts for good:
  no rebalance is accepted any more.
- A rebalance within the cooldown, over what is left of the loss or turnover budget, or that withdraws more than a
  strategy can pay out, is refused as a whole, as the vault reverts it. Caps and the idle floor are the decision's
  business. Fees to the recipient are not modelled.
"""

from agent.portfolio.costs import Costs
from agent.portfolio.market_row import MarketRow
from agent.portfolio.replay import replay
from agent.portfolio.state import Headroom, PortfolioState
from agent.portfolio.step import StepResult, accrue, rebalance, step, unwind

__all__ = [
    "Costs",
    "Headroom",
    "MarketRow",
    "PortfolioState",
    "StepResult",
    "accrue",
    "rebalance",
    "replay",
    "step",
    "unwind",
]
