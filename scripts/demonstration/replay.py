"""The replay: outside borrowers move the rates along a series, and the keeper wakes once a day.

A day, in order: the keeper wakes and sees the rates of today; it decides, and its transaction is mined; then the
borrowers move the rates to tomorrow's, and a day passes at those. So the keeper earns rates that it had not seen when
it decided. Every day is on disk before the next begins, so that nothing is lost when a run ends early.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from hexbytes import HexBytes
from numpy.typing import NDArray
from web3.logs import DISCARD

from agent.units import DAY, WAD
from keeper.conversion import HOLD
from keeper.cycle import CycleResult, Keeper
from keeper.snapshot import Snapshot
from scripts.demonstration.stage import Stage
from scripts.protocols.anvil import number_before
from scripts.protocols.borrower import follow_supply_rate

PRICED_SHARES = 10**27  # as the lens does


@dataclass(frozen=True)
class Day:
    """One day of the replay, read from the chain right after the keeper's cycle.

    Money is in base units, ratios are WAD where they are `int` and fractions where they are `float`. `rates` (APR) are
    what the keeper saw when it woke, that is what was earned since the day before. `prices` are the strategies' share
    prices (`convertToAssets(1e27)`) at which the day's rebalance was made, `sent` its weights (None where none was).
    """

    day: int
    timestamp: int
    block: int
    reason: str
    target_rates: tuple[float, ...]
    rates: tuple[float, ...]
    prices: tuple[int, ...]
    nav: int
    idle: int
    assets: tuple[int, ...]
    share_price: int
    high_water_mark: int
    drawdown_floor: int
    sent: tuple[int, ...] | None
    gas_used: int
    gas_price: int
    failed: bool
    cap_violations: int
    cap_hits: int

    @property
    def mined(self) -> bool:
        """Whether a rebalance was mined on this day."""
        return self.sent is not None

    @property
    def weights(self) -> NDArray[np.float64]:
        """Share of NAV in each strategy, shape `(n,)`."""
        return np.array(self.assets, dtype=np.float64) / self.nav

    @property
    def drawdown(self) -> float:
        """Fall of the share price under the high-water mark, as a fraction of the mark."""
        return max(0.0, 1.0 - self.share_price / self.high_water_mark)


class Diary:
    """Appends days to a CSV file and keeps them."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.days: list[Day] = []
        self._file = path.open("w", newline="")
        self._writer = csv.writer(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, day: Day) -> None:
        """Keep one day; it is on disk when this returns."""
        row: dict[str, object] = {}
        for key, value in asdict(day).items():
            if isinstance(value, tuple) or key == "sent":
                each = (
                    ("",) * len(self.names) if value is None else ["HOLD" if part == HOLD else part for part in value]
                )
                row.update({f"{key}_{name}": part for name, part in zip(self.names, each, strict=True)})
            else:
                row[key] = value
        if not self.days:
            self._writer.writerow(row.keys())
        self._writer.writerow(row.values())
        self._file.flush()
        self.days.append(day)


@dataclass(frozen=True)
class Replay:
    """The largest relative error of a rate, and the number of rates that could not be reached."""

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
        prices=_prices(stage, snapshot, traded=event is not None),
        nav=snapshot.nav,
        idle=snapshot.idle,
        assets=tuple(item.assets for item in snapshot.strategies),
        share_price=snapshot.share_price,
        high_water_mark=snapshot.high_water_mark,
        drawdown_floor=snapshot.drawdown_floor,
        sent=None if event is None else tuple(event["weights"]),
        gas_used=0 if result is None else result.gas_used or 0,
        gas_price=0 if result is None else result.gas_price or 0,
        failed=result is not None and not result.succeeded,
        cap_violations=0 if event is None else _violations(seen, snapshot, event),
        cap_hits=0 if result is None else sum(result.at_cap or ()),
    )


def _prices(stage: Stage, snapshot: Snapshot, traded: bool) -> tuple[int, ...]:
    if not traded:
        return tuple(item.price for item in snapshot.strategies)
    return tuple(
        number_before(stage.w3, contract.functions.convertToAssets(PRICED_SHARES), snapshot.block.number)
        for contract in stage.deployment.strategies
    )


def _event(stage: Stage, result: CycleResult | None) -> dict[str, Any] | None:
    """Return the arguments of the `Rebalanced` event, None where nothing was mined."""
    if result is None or result.outcome != "mined" or result.transaction_hash is None:
        return None
    receipt = stage.w3.eth.get_transaction_receipt(HexBytes(result.transaction_hash))
    (event,) = stage.vault.events.Rebalanced().process_receipt(receipt, errors=DISCARD)
    return dict(event["args"])


def _violations(before: Snapshot, after: Snapshot, event: dict[str, Any]) -> int:
    """Count the caps and the idle floor that a mined rebalance broke; the vault must have refused it.

    Caps bind what was deposited into, as shares of the bid where that is less than NAV, and the idle floor binds
    whoever takes idle.
    """
    nav = event["navBefore"]
    base = min(nav, max(before.bid, after.bid))  # it has grown a little between the two
    count = int(after.idle < before.idle and after.idle * WAD < after.limits.idle_floor * after.nav)
    grew = [
        weight != HOLD and nav * weight // WAD > item.assets
        for weight, item in zip(event["weights"], before.strategies, strict=True)
    ]
    for item, grown in zip(after.strategies, grew, strict=True):
        count += grown and item.assets > min(base * item.relative_cap // WAD, item.absolute_cap)
    for group in after.groups:
        cap = min(base * group.relative_cap // WAD, group.absolute_cap)
        count += (
            any(group.holds(index) for index, grown in enumerate(grew) if grown) and after.group_assets(group) > cap
        )
    return count
