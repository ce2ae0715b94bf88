"""What the demo writes down of every day, as it happens, so that nothing is lost when a run ends early."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from keeper.decide import HOLD


@dataclass(frozen=True)
class Day:
    """One day of the replay, read from the chain right after the keeper's cycle.

    Money is in base units, ratios are WAD where they are `int` and fractions where they are `float`. `rates` (APR) are
    what the keeper saw when it woke, that is what was earned since the day before. `prices` are the strategies' share
    prices (`convertToAssets(1e27)`), `sent` the weights of the mined rebalance (None on a day without one).
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
