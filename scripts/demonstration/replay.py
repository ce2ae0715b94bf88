"""The replay: outside borrowers move the rates along a series, and the keeper wakes once a day.

What a day is, in order: the keeper wakes and sees the rates of today; it decides, and what it sends is mined; then the
borrowers move the rates to tomorrow's, and a day passes at those. So the keeper earns rates that it had not seen when
it decided.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hexbytes import HexBytes
from numpy.typing import NDArray
from web3.logs import DISCARD

from keeper.cycle import Keeper
from keeper.result import CycleResult
from keeper.snapshot import WAD, Snapshot
from scripts.demonstration.record import Day, Diary
from scripts.demonstration.stage import Stage
from scripts.protocols.borrower import follow_supply_rate

DAY = 86_400


@dataclass(frozen=True)
class Replay:
    """What the replay came to, beyond its days."""

    tracking_error: float
    clamped: int


def play(
    stage: Stage,
    keeper: Keeper,
    rates: NDArray[np.float64],
    start: int,
    diary: Diary,
    step: Callable[[Day], None],
) -> Replay:
    """Let the keeper live through `len(rates) - 1` days; the last row of the series only closes the books.

    Parameters
    ----------
    rates
        `(days + 1, n)` supply rates to follow, APR.
    start
        Timestamp of the first wake.
    diary
        Gets every day as soon as it is over.
    step
        Called after each day.
    """
    errors: list[float] = []
    clamped = 0
    for index, row in enumerate(rates):
        stage.wake(start + index * DAY)
        closing = index == len(rates) - 1
        seen = stage.snapshot()
        result = None if closing else keeper.cycle(live=True)
        day = _read(stage, index, row, seen, result)
        diary.add(day)
        step(day)
        if closing:
            break
        for market, target in zip(stage.markets, rates[index + 1], strict=True):
            move = follow_supply_rate(market, float(target), clamp=True)
            clamped += move.clamped
            if not move.clamped:
                errors.append(move.relative_error)
    return Replay(max(errors, default=0.0), clamped)


def align(stage: Stage, rates: Sequence[float]) -> None:
    """Bring the markets to the rates of the first day."""
    for market, target in zip(stage.markets, rates, strict=True):
        follow_supply_rate(market, float(target), clamp=True)


def _read(stage: Stage, index: int, targets: NDArray[np.float64], seen: Snapshot, result: CycleResult | None) -> Day:
    """Read the books at the newest block, the rebalance's where there was one; the rates are those that were `seen`."""
    snapshot = stage.snapshot()
    event = _event(stage, result)
    return Day(
        day=index,
        timestamp=snapshot.block.timestamp,
        block=snapshot.block.number,
        reason="the last day: the books are closed" if result is None else f"{result.outcome}: {result.reason}",
        target_rates=tuple(float(rate) for rate in targets),
        rates=tuple(item.supply_rate / WAD for item in seen.strategies),
        prices=tuple(item.price for item in snapshot.strategies),
        nav=snapshot.total_assets,
        idle=snapshot.idle,
        assets=tuple(item.assets for item in snapshot.strategies),
        share_price=snapshot.share_price,
        high_water_mark=snapshot.high_water_mark,
        drawdown_floor=snapshot.drawdown_floor,
        sent=None if event is None else tuple(event["weights"]),
        gas_used=0 if result is None else result.gas_used or 0,
        gas_price=0 if result is None else result.gas_price or 0,
        failed=result is not None and not result.succeeded,
        cap_violations=0 if event is None else _violations(snapshot, event["navBefore"]),
        cap_hits=0 if result is None else sum(result.at_cap or ()),
    )


def _event(stage: Stage, result: CycleResult | None) -> dict[str, Any] | None:
    """Return the arguments of the `Rebalanced` event, None where nothing was mined."""
    if result is None or result.outcome != "mined" or result.transaction_hash is None:
        return None
    receipt = stage.w3.eth.get_transaction_receipt(HexBytes(result.transaction_hash))
    (event,) = stage.vault.events.Rebalanced().process_receipt(receipt, errors=DISCARD)
    return dict(event["args"])


def _violations(snapshot: Snapshot, nav_before: int) -> int:
    """Count the caps and the idle floor that a mined rebalance broke; the vault must have refused it."""
    count = int(snapshot.idle * WAD < snapshot.limits.idle_floor * snapshot.total_assets)
    for item in snapshot.strategies:
        count += item.assets > min(nav_before * item.relative_cap // WAD, item.absolute_cap)
    return count
