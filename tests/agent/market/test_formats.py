"""Promises of the file formats: nothing invented, nothing silently dropped, the same numbers from CSV and Parquet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.errors import (
    AmbiguousMarketError,
    BadValueError,
    DataFileError,
    DuplicateDateError,
    GapError,
    MarketDataError,
    MissingColumnError,
    RateRangeError,
    UnknownMarketError,
)
from agent.market.replay import load_history
from agent.units import DAY, YEAR

HEADER = "snapshot_utc,network,symbol,supply_apr,liquidity_index,asset,last_update_ts"
FIRST = datetime(2025, 7, 1, 0, 20, tzinfo=UTC)
ADDRESS = {"USDC": "0xAA", "USDT": "0xbb", "GHO": "0xcc"}


def _line(days: float, symbol: str, rate: float, index: float, age: float = 0.0, **more: str) -> str:
    """A snapshot `days` after the first, of a reserve that was last touched `age` days before."""
    at = FIRST + timedelta(days=days)
    update = at.timestamp() - age * DAY
    network, asset = more.get("network", "ethereum"), more.get("asset", ADDRESS[symbol])
    return f"{at:%Y-%m-%d %H:%M:%S},{network},{symbol},{rate},{index},{asset},{update:.0f}"


def _daily(days: tuple[float, ...] = (0, 1, 2, 3)) -> list[str]:
    """USDC at 3.65 % with an index that says so, USDT untouched since the beginning."""
    lines = [HEADER]
    for day in days:
        lines.append(_line(day, "USDC", 0.0365, 1 + 1e-4 * day))
        lines.append(_line(day, "USDT", 0.073, 1.5, age=day))
    return lines


@pytest.fixture
def put(tmp_path: Path) -> Callable[[list[str]], Path]:
    def write(lines: list[str]) -> Path:
        (tmp_path / "aave.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "aave.csv"

    return write


def _load(file: Path, **options: object):  # type: ignore[no-untyped-def]
    return load_history(file, ("USDC", "USDT"), **options)


def test_aave__index_of_the_last_update__brought_to_the_snapshot(put: Callable[[list[str]], Path]) -> None:
    history = _load(put(_daily()))
    assert history.names == ("USDC", "USDT")
    assert history.earned is not None
    assert np.allclose(history.earned[0, 1:, 0], 0.0365 * np.array([1, 1 / 1.0001, 1 / 1.0002]), rtol=1e-6)
    # Touched on the first day only: the index in the file stands still, the supplier's money does not.
    income = 1 + 0.073 * np.arange(4) * DAY / YEAR
    assert np.allclose(history.earned[0, 1:, 1], (income[1:] / income[:-1] - 1) * 365, rtol=1e-9)


def test_aave__several_snapshots_in_a_day__first_kept_and_nothing_earned_is_lost(
    put: Callable[[list[str]], Path],
) -> None:
    plain = _load(put(_daily((0, 1, 2, 3))))
    crowded = _load(put(_daily((0, 1, 1.25, 1.375, 2, 3))))
    assert crowded.days == plain.days
    assert np.array_equal(crowded.timestamps, plain.timestamps)
    assert np.array_equal(crowded.earned, plain.earned)


def test_aave__real_stamps__in_the_path(put: Callable[[list[str]], Path]) -> None:
    path = _load(put(_daily((0, 1.4, 2, 3.5))))
    assert np.allclose(np.diff(path.timestamps) / DAY, [1.4, 0.6, 1.5])
    assert path.growth()[0, :, 0] == pytest.approx(np.diff([1, 1.00014, 1.0002, 1.00035]) / [1, 1.00014, 1.0002] + 1)


def test_aave__a_day_missing__bridged_by_the_index_up_to_the_greatest_gap(put: Callable[[list[str]], Path]) -> None:
    history = _load(put(_daily((0, 1, 3, 4))))
    assert [day.day for day in history.days] == [1, 2, 4, 5]
    assert history.growth()[0, :, 0].prod() == pytest.approx(1.0004, abs=1e-9)
    with pytest.raises(GapError, match=r"line 6 \(2025-07-04\): 2.0 days .*--max-gap-days"):
        _load(put(_daily((0, 1, 3, 4))), max_gap_days=1.5)
    with pytest.raises(GapError, match=r"3.0 days"):
        _load(put(_daily((0, 1, 4))))


def test_aave__symbol_of_two_reserves__asks_for_the_address(put: Callable[[list[str]], Path]) -> None:
    lines = _daily() + [_line(day, "USDC", 0.01, 1.0, asset="0xdd") for day in range(4)]
    with pytest.raises(AmbiguousMarketError, match="0xaa or 0xdd"):
        _load(put(lines))
    history = load_history(put(lines), ("0xDD", "USDT"))
    assert history.rates[0, 0].tolist() == [0.01, 0.073]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: [*t, t[1]], DuplicateDateError, r"line 10 \(2025-07-01, USDC\).*line 2"),
        (
            lambda t: [*t[:3], t[3].replace("0.0365", "nan"), *t[4:]],
            BadValueError,
            r"line 4 \(2025-07-02\): supply_apr",
        ),
        (lambda t: [*t[:3], t[3].replace("0.0365", "3.65"), *t[4:]], RateRangeError, r"line 4 \(2025-07-02, USDC\)"),
        (lambda t: [*t[:3], t[3].replace("1.0001", "1.1e-4"), *t[4:]], BadValueError, "line 4 .*below one"),
        (lambda t: [*t[:5], t[5].replace("1.0002", "1.00005"), *t[6:]], BadValueError, r"line 6 .*index falls"),
        (lambda t: [*t[:3], t[3][:-6] + "999999", *t[4:]], BadValueError, "line 4 .*after the snapshot"),
        (lambda t: [*t[:3], t[3].replace("2025-07-02 ", "2/7/25 "), *t[4:]], BadValueError, "line 4: '2/7/25"),
        (lambda t: [*t[:3], t[3] + ",1", *t[4:]], BadValueError, "line 4: 8 cells"),
        (lambda t: [t[0].replace("asset", "token"), *t[1:]], MissingColumnError, "no column asset"),
        (lambda t: [line.replace("ethereum", "mars") for line in t], UnknownMarketError, "no network.*it has mars"),
        (lambda t: [line for line in t if "USDT" not in line], UnknownMarketError, "no reserve 'USDT'.*has USDC"),
        (lambda t: t[:3], MarketDataError, "fewer than two days"),
    ],
)
def test_aave__bad_file__named_error_with_line_and_day(
    put: Callable[[list[str]], Path],
    change: Callable[[list[str]], list[str]],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        _load(put(change(_daily())))


def test_parquet__typed_columns__the_same_history_as_csv(put: Callable[[list[str]], Path], tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    source = put(_daily((0, 1, 3)))
    rows = [line.split(",") for line in source.read_text().splitlines()[1:]]
    kinds = (datetime.fromisoformat, str, str, float, float, str, int)
    columns = {
        name: [kind(row[index]) for row in rows]
        for index, (name, kind) in enumerate(zip(HEADER.split(","), kinds, strict=True))
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "aave.parquet")
    one, other = _load(source), _load(tmp_path / "aave.parquet")
    assert np.array_equal(one.earned, other.earned)
    assert one.days == other.days

    daily = {"date": [date(2022, 1, day) for day in (1, 2, 3)], "a": [0.01, 0.02, 0.03], "b": [0.02, None, 0.04]}
    parquet.write_table(pyarrow.table(daily), tmp_path / "wide.parquet")
    with pytest.raises(BadValueError, match=r"line 3 \(2022-01-02\): b is ''"):
        load_history(tmp_path / "wide.parquet")
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "wide.parquet").read_bytes()[:300])
    with pytest.raises(DataFileError, match="not a Parquet file"):
        load_history(tmp_path / "torn.parquet")


def test_compound__what_others_supply__is_the_depth(tmp_path: Path) -> None:
    lines = ["date,part,supply_apr_pct,total_borrow_usd,tvl_usd"]
    lines += [f"2022-01-0{day},{part},{day},50,{100 * day}" for day in (1, 2, 3) for part in ("dai_1", "usdc", "usdt")]
    file = tmp_path / "compound.csv"
    file.write_text("\n".join(lines))
    path = load_history(file)
    assert path.depth is not None
    assert path.depth[0, :, 0].tolist() == [100, 200, 300]
    file.write_text("\n".join(lines).replace("50,200", "50,-200"))
    with pytest.raises(BadValueError, match=r"line 5 \(2022-01-02, dai_1\): tvl_usd is below zero"):
        load_history(file)


def test_gas__joined_by_date__a_day_without_is_refused(put: Callable[[list[str]], Path], tmp_path: Path) -> None:
    gas = tmp_path / "gas.csv"
    days = ["date,eth_usd,avg_gas_gwei", "2025-07-01,3000,10", "2025-07-02,2000,10", "2025-07-03,1000,10"]
    gas.write_text("\n".join([*days, "2025-07-04,1000,20"]))
    assert _load(put(_daily()), gas=gas).gas_cost[0].tolist() == pytest.approx([3e-5, 2e-5, 1e-5, 2e-5])
    gas.write_text("\n".join(days))
    with pytest.raises(GapError, match="no gas price of 2025-07-04"):
        _load(put(_daily()), gas=gas)


def test_options_of_another_format__refused(tmp_path: Path) -> None:
    file = tmp_path / "wide.csv"
    file.write_text("date,a,b\n2022-01-01,0.01,0.02\n2022-01-02,0.01,0.02\n")
    with pytest.raises(MarketDataError, match="no Aave V3 file"):
        load_history(file, network="ethereum")
    with pytest.raises(MarketDataError, match="give no parts"):
        load_history(file, ("a", "b"))
