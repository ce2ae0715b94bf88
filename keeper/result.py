"""What one wake of the keeper came to: for the terminal, for scripts and for the demo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from keeper.decide import HOLD, Plan, Rebalance
from keeper.journal import Intent, Kind, State
from keeper.snapshot import Snapshot


@dataclass(frozen=True)
class CycleResult:
    """What one wake of the keeper came to.

    Attributes
    ----------
    outcome
        `no-trade`, `refused`, `simulated` (a dry run would have sent it), `mined`, `heartbeat` (mined; nothing to
        trade), `reverted`, `pending` (sent, not yet mined), `expired` or `superseded`.
    reason
        Why.
    nav, strategies, weights, target
        NAV in base units, names of the strategies, and their shares of NAV, present and wanted; `None` or empty where
        the cycle ended before they were known.
    request
        The rebalance that was or would have been sent.
    gas_used, gas_price
        Of the receipt; wei.
    """

    outcome: str
    reason: str
    cycle: int
    live: bool
    block_number: int | None = None
    block_timestamp: int | None = None
    epoch: int | None = None
    nav: int | None = None
    strategies: tuple[str, ...] = ()
    weights: tuple[float, ...] | None = None
    target: tuple[float, ...] | None = None
    at_cap: tuple[bool, ...] | None = None
    request: Rebalance | None = None
    transaction_hash: str | None = None
    gas_used: int | None = None
    gas_price: int | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the cycle did what it should; a refusal, a revert or a lost transaction is not that."""
        return self.outcome in ("no-trade", "simulated", "mined", "heartbeat", "pending")

    def to_json(self) -> dict[str, Any]:
        """Return plain data; integers that JSON readers would round are strings."""
        data = asdict(self)
        data["nav"] = None if self.nav is None else str(self.nav)
        if self.request is not None:
            data["request"] |= {
                "min_total_assets": str(self.request.min_total_assets),
                "weights": ["HOLD" if weight == HOLD else str(weight) for weight in self.request.weights],
            }
        return data


def results_of(cycle: int, live: bool, snapshot: Snapshot, plan: Plan) -> Callable[..., CycleResult]:
    """Return what makes this cycle's result, now that all but its outcome is known."""

    def build(outcome: str, reason: str, intent: Intent | None = None) -> CycleResult:
        return CycleResult(
            outcome,
            reason,
            cycle,
            live,
            block_number=snapshot.block.number,
            block_timestamp=snapshot.block.timestamp,
            epoch=snapshot.epoch,
            nav=snapshot.total_assets,
            strategies=tuple(strategy.name or strategy.target for strategy in snapshot.strategies),
            weights=plan.weights,
            target=plan.target,
            at_cap=plan.at_cap,
            request=plan.request,
            transaction_hash=intent.transaction_hash if intent else None,
            gas_used=intent.gas_used if intent else None,
            gas_price=intent.gas_price if intent else None,
        )

    return build


def outcome_of(intent: Intent, reason: str) -> tuple[str, str]:
    """Return what came of an intent and why; `reason` is its plan's."""
    if intent.state is State.MINED:
        return "heartbeat" if intent.kind is Kind.HEARTBEAT else "mined", reason
    if intent.state.is_open:
        return "pending", "not mined yet; the next cycle goes on with it"
    return intent.state.value, intent.reason
