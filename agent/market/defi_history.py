"""The history that the five-venue market is fitted to: five files, read into one table of columns per quantity."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.digest import sha256_hex
from agent.errors import BadValueError, DataFileError
from agent.units import FloatArray

HOURS = 365.0 * 24.0
"""Hours in a year."""

_HOURLY, _FEES = "eth_btc_hourly_2022.csv", "uniswap_v3_polygon_usdc_weth_005_hourly.csv"
_RATES, _PEGS, _GAS = (
    "compound_v2_daily.csv",
    "stable_and_token_ratios_daily_2020_2023.csv",
    "eth_price_gas_daily.csv",
)
_RATES_SINCE, _PEGS_SINCE, _GAS_SINCE = "2020-05-01", "2020-01-01", "2024-01-01"


@dataclass(frozen=True)
class History:
    """What is read from the files: hourly prices and fees, daily rates, pegs and gas; a column per series."""

    prices: FloatArray
    fees: FloatArray
    rates: FloatArray
    utilisation: FloatArray
    supplied: FloatArray
    pegs: FloatArray
    gas: FloatArray
    files: dict[str, str]


def read(folder: Path) -> History:
    """Read the files of `agent.market.calibrate_defi` from a folder.

    Raises
    ------
    DataFileError
        If one cannot be read.
    BadValueError
        If a column is missing or holds what is no number.
    """
    columns: dict[str, dict[str, NDArray[np.str_]]] = {}
    files = {}
    for name in (_HOURLY, _FEES, _RATES, _PEGS, _GAS):
        try:
            raw = (folder / name).read_bytes()
        except OSError as error:
            raise DataFileError(f"cannot read {folder / name}: {error}") from error
        files[name] = sha256_hex(raw)
        lines = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
        columns[name] = {key: np.array([line[key] or "" for line in lines], dtype=np.str_) for key in lines[0]}

    def numbers(name: str, keys: list[str], since: str = "", part: str = "") -> FloatArray:
        table = columns[name]
        kept = np.ones(len(next(iter(table.values()))), dtype=np.bool_)
        if since:
            kept &= np.array([day >= since for day in table["date"].tolist()])
        if part:
            kept &= table["part"] == part
        try:
            return np.column_stack([table[key][kept].astype(np.float64) for key in keys])
        except (KeyError, ValueError) as error:
            raise BadValueError(f"{folder / name}: {error}") from error

    lending = [
        numbers(_RATES, ["supply_apr_pct", "total_borrow_usd", "tvl_usd"], _RATES_SINCE, part)
        for part in ("dai_1.csv", "usdt.csv", "usdc.csv")
    ]
    pool = numbers(_FEES, ["close", "liquidity", "fees_usd"])
    # Raw liquidity is the root of the product of the amounts in 1e-6 USDC and 1e-18 ETH.
    whole = 2.0 * pool[:, 1] * np.sqrt(pool[:, 0]) * 1e-12
    return History(
        prices=numbers(_HOURLY, ["eth_usdt_open", "btc_usdt_open"]),
        fees=np.column_stack([pool[:, 2] / whole * HOURS, whole, pool[:, 0]]),
        rates=np.column_stack([market[:, 0] / 100.0 for market in lending]),
        utilisation=np.column_stack([market[:, 1] / market[:, 2] for market in lending]),
        supplied=np.column_stack([market[:, 2] for market in lending]),
        pegs=numbers(_PEGS, ["dai_usdt", "usdc_usdt", "busd_usdt"], _PEGS_SINCE),
        gas=numbers(_GAS, ["avg_gas_gwei", "eth_usd"], _GAS_SINCE),
        files=files,
    )
