"""The replay: outsiders bring the chain to the rows of a series, and the keeper wakes at each.

A step, in order: the keeper wakes and sees the row; it decides, and its transaction is mined; then the outsiders move
the chain to the next row, and time passes. So the keeper earns what it had not seen when it decided. Every step is on
disk before the next begins, so that nothing is lost when a run ends early.
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
from web3.types import TxReceipt

from agent.units import WAD
from keeper.conversion import HOLD, leg_costs
from keeper.cycle import CycleResult, Keeper
from keeper.snapshot import Snapshot
from scripts.demonstration.preset import World
from scripts.demonstration.series import Series
from scripts.demonstration.stage import Stage
from scripts.demonstration.walls import named, wall_of
from scripts.protocols.anvil import number_before

PRICED_SHARES = 10**27  # as the lens does
FLOOR = "under the drawdown floor"


@dataclass(frozen=True)
class Step:
    """One step of the replay, read from the chain right after the keeper's cycle.

    Money is in base units, ratios are WAD where they are `int` and fractions where they are `float`. `prices` are the
    strategies' share prices (`convertToAssets(1e27)`) at which the step's rebalance was made, `sent` its weights (None
    where none was), `nav_before` what the vault counted before it. Entries named `_costs` are what a unit that it moved
    lost, as a share, and `haircuts` by how much NAV counts a position under its worth.

    Attributes
    ----------
    target_rates, rates
        APR of the series, and those that the keeper saw when it woke: the strategies' own, or what it was told.
    cash
        What each strategy could have paid out when the keeper woke; none where nobody tells.
    native_price
        Asset units per native coin.
    failed, refused
        A transaction that was lost or reverted, or a refusal that no wall explains; and the wall that refused, if any.
    """

    step: int
    timestamp: int
    block: int
    reason: str
    target_rates: tuple[float, ...]
    rates: tuple[float, ...]
    prices: tuple[int, ...]
    nav: int
    nav_before: int
    idle: int
    assets: tuple[int, ...]
    cash: tuple[int | None, ...]
    share_price: int
    high_water_mark: int
    drawdown_floor: int
    sent: tuple[int, ...] | None
    entry_costs: tuple[float, ...]
    exit_costs: tuple[float, ...]
    haircuts: tuple[float, ...]
    loss_budget_used: float
    gas_used: int
    gas_price: int
    base_fee: int
    native_price: float
    failed: bool
    refused: str
    cap_violations: int
    cap_hits: int

    @property
    def mined(self) -> bool:
        """Whether a rebalance was mined in this step."""
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
    """Appends steps to a CSV file and keeps them."""

    def __init__(self, path: Path, names: Sequence[str], unit: str) -> None:
        self.names = tuple(names)
        self.steps: list[Step] = []
        self._unit = unit
        self._file = path.open("w", newline="")
        self._writer = csv.writer(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, step: Step) -> None:
        """Keep one step; it is on disk when this returns."""
        row: dict[str, object] = {}
        for key, value in asdict(step).items():
            if isinstance(value, tuple) or key == "sent":
                each = (
                    ("",) * len(self.names) if value is None else ["HOLD" if part == HOLD else part for part in value]
                )
                row.update({f"{key}_{name}": part for name, part in zip(self.names, each, strict=True)})
            else:
                row[self._unit if key == "step" else key] = value
        if not self.steps:
            self._writer.writerow(row.keys())
        self._writer.writerow(row.values())
        self._file.flush()
        self.steps.append(step)


def play(
    stage: Stage, keeper: Keeper, world: World, series: Series, diary: Diary, tell: Callable[[Step], None]
) -> None:
    """Let the keeper live through the series; its last row only closes the books.

    Parameters
    ----------
    world
        Stands at the first row.
    diary
        Gets every step as soon as it is over.
    tell
        Called after each step.
    """
    times = series.path.timestamps
    for index in range(len(times)):
        closing = index == len(times) - 1
        seen = stage.snapshot()
        result = None if closing else keeper.cycle(live=True)
        step = _read(stage, world, index, series.path.rates[0, index], seen, result)
        diary.add(step)
        tell(step)
        if not closing:
            world.move(index + 1, int(times[index + 1]))


def _read(
    stage: Stage,
    world: World,
    index: int,
    targets: NDArray[np.float64],
    seen: Snapshot,
    result: CycleResult | None,
) -> Step:
    """Read the books at the newest block, the rebalance's where there was one; the rates are those that were `seen`."""
    snapshot = stage.snapshot()
    receipt = _receipt(stage, result)
    event = None if receipt is None else _rebalanced(stage, receipt)
    prices = _prices(stage, snapshot, traded=event is not None)
    haircuts = leg_costs(snapshot, {})["haircut"]
    entry, leave = _costs(stage, receipt, prices, haircuts)
    refused = "" if result is None else _wall(result)
    told = zip(seen.strategies, world.rates(index), strict=True)
    return Step(
        step=index,
        timestamp=snapshot.block.timestamp,
        block=snapshot.block.number,
        reason="the last row: the books are closed" if result is None else f"{result.outcome}: {named(result.reason)}",
        target_rates=tuple(float(rate) for rate in targets),
        rates=tuple(item.supply_rate / WAD if item.has_rate else rate for item, rate in told),
        prices=prices,
        nav=snapshot.nav,
        nav_before=snapshot.nav if event is None else event["navBefore"],
        idle=snapshot.idle,
        assets=tuple(item.assets for item in snapshot.strategies),
        cash=tuple(item.cash if item.has_cash else None for item in seen.strategies),
        share_price=snapshot.share_price,
        high_water_mark=snapshot.high_water_mark,
        drawdown_floor=snapshot.drawdown_floor,
        sent=None if event is None else tuple(event["weights"]),
        entry_costs=entry,
        exit_costs=leave,
        haircuts=tuple(float(haircut) for haircut in haircuts),
        loss_budget_used=0.0 if event is None else max(0.0, (seen.loss_budget - snapshot.loss_budget) / WAD),
        gas_used=0 if result is None else result.gas_used or 0,
        gas_price=0 if result is None else result.gas_price or 0,
        base_fee=seen.block.base_fee,
        native_price=world.native_price(index),
        failed=result is not None and not result.succeeded and not refused,
        refused=refused,
        cap_violations=0 if event is None else _violations(seen, snapshot, event),
        cap_hits=0 if result is None else sum(result.at_cap or ()),
    )


def _wall(result: CycleResult) -> str:
    """Return which wall refused: `liquidity`, `price` or `drawdown`; nothing where none did."""
    if result.outcome != "refused":
        return ""
    return "drawdown" if FLOOR in result.reason else wall_of(named(result.reason))


def _prices(stage: Stage, snapshot: Snapshot, traded: bool) -> tuple[int, ...]:
    if not traded:
        return tuple(item.price for item in snapshot.strategies)
    return tuple(
        number_before(stage.w3, contract.functions.convertToAssets(PRICED_SHARES), snapshot.block.number)
        for contract in stage.deployment.strategies
    )


def _receipt(stage: Stage, result: CycleResult | None) -> TxReceipt | None:
    """Return the receipt of the rebalance, None where nothing was mined."""
    if result is None or result.outcome != "mined" or result.transaction_hash is None:
        return None
    return stage.w3.eth.get_transaction_receipt(HexBytes(result.transaction_hash))


def _rebalanced(stage: Stage, receipt: TxReceipt) -> dict[str, Any]:
    """Return the arguments of the `Rebalanced` event."""
    (event,) = stage.vault.events.Rebalanced().process_receipt(receipt, errors=DISCARD)
    return dict(event["args"])


def _costs(
    stage: Stage, receipt: TxReceipt | None, prices: Sequence[int], haircuts: Sequence[float] | NDArray[np.float64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return what entering and leaving each strategy cost, against the worth of its shares before.

    A strategy without a haircut costs nothing but rounding.
    """
    entry, leave = [0.0] * len(prices), [0.0] * len(prices)
    for index, contract in enumerate(stage.deployment.strategies):
        if receipt is None or haircuts[index] == 0.0:
            continue
        for event in contract.events.Deposit().process_receipt(receipt, errors=DISCARD):
            if event["address"] == contract.address:
                worth = event["args"]["shares"] * prices[index] / PRICED_SHARES
                entry[index] = 1.0 - worth / event["args"]["assets"]
        for event in contract.events.Withdraw().process_receipt(receipt, errors=DISCARD):
            if event["address"] == contract.address:
                worth = event["args"]["shares"] * prices[index] / PRICED_SHARES
                leave[index] = 1.0 - event["args"]["assets"] / worth
    return tuple(entry), tuple(leave)


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
