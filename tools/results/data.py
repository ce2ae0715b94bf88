"""The history files behind the published figures: where each comes from, how to make it, and whether it is the same.

    python -m tools.results.data FOLDER                  # which files are there, missing or different
    python -m tools.results.data FOLDER --build CLONES   # make them from clones of the public repositories

The files are not part of this repository. `make results` needs three of them, `tools.calibration` all. What `--build`
makes is byte for byte the data behind the figures; the SHA-256 is checked. One file of the calibration can only be
checked. `--slice` made `tests/data`, the part that the tests need.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import click

from agent.commands.common import run
from agent.errors import DataFileError

LAST_DAY = "2026-02-28"
"""The files end on this day; the repositories that grow have later ones."""

_NETWORKS = "arbitrum avalanche base ethereum optimism polygon"
_SYMBOLS = (
    "DAI EURC GHO LUSD PYUSD RLUSD USDC USDC.e USDG USDS USDT USDT0 USDbC USDe USDtb USD₮0 WBTC WETH cbBTC cbETH "
    "crvUSD osETH rETH sDAI sUSDe weETH wstETH"
)
_RESERVE = (
    "current_liquidity_rate current_variable_borrow_rate liquidity_index variable_borrow_index reserve_factor "
    "supply_cap borrow_cap asset_address last_update_timestamp"
)


def _git(clone: Path, *arguments: str, given: str = "") -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(clone), *arguments], input=given.encode(), capture_output=True, check=False
        )
    except OSError as error:
        raise DataFileError(f"git cannot be started ({error.strerror}): install it") from error
    if done.returncode:
        raise DataFileError(f"git fails in {clone} ({done.stderr.decode().strip()}): clone the whole history")
    return done.stdout


def _rows(raw: bytes) -> csv.DictReader[str]:
    return csv.DictReader(io.StringIO(raw.decode("utf-8-sig")))


def _utc(seconds: str | int) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _aave(clone: Path) -> Iterator[str]:
    """Yield the stablecoin, ETH and BTC reserves of six networks from every snapshot that was ever committed."""
    file = "aave_v3_data.json"
    commits = _git(clone, "log", "--reverse", "--format=%H", "--", file).decode().split()
    stored = io.BytesIO(_git(clone, "cat-file", "--batch", given="".join(f"{commit}:{file}\n" for commit in commits)))
    found = []
    for header in iter(stored.readline, b""):
        snapshot = json.loads(stored.read(int(header.split()[2])))
        stored.readline()
        moment = snapshot["metadata"]["last_updated"][:19].replace("T", " ")
        if moment[:10] <= LAST_DAY:
            found += [
                (network, reserve["symbol"], moment, reserve)
                for network in _NETWORKS.split()
                for reserve in snapshot["networks"].get(network, ())
                if reserve["symbol"] in _SYMBOLS.split()
            ]
    yield (
        "snapshot_utc,network,symbol,supply_apr,variable_borrow_apr,liquidity_index,variable_borrow_index,"
        "reserve_factor,supply_cap,borrow_cap,asset,last_update_ts"
    )
    for network, symbol, moment, reserve in sorted(found, key=lambda row: row[:3]):
        yield ",".join([moment, network, symbol, *(str(reserve[column]) for column in _RESERVE.split())])


def _compound(clone: Path) -> Iterator[str]:
    """Yield the daily snapshots of the Compound V2 subgraph, market by market."""
    columns = ("depositRate", "borrowRate", "totalBorrowBalanceUSD", "totalValueLockedUSD")
    yield "date,utc,asset,part,supply_apr_pct,borrow_apr_pct,total_borrow_usd,tvl_usd"
    archive = zipfile.ZipFile(io.BytesIO(_git(clone, "show", "5b6e7c4b:compound-subgraph/compoundV2.zip")))
    for part in sorted(archive.namelist()):
        asset = part.removesuffix(".csv").partition("_")[0].upper()
        for row in _rows(archive.read(part)):
            moment = _utc(row["timestamp"])
            yield ",".join([f"{moment:%F},{moment:%F %T}", asset, part, *(str(float(row[name])) for name in columns)])


def _gas(clone: Path) -> Iterator[str]:
    """Yield Etherscan's daily price of ETH, mean gas price and gas used."""
    exports = [
        _rows(_git(clone, "show", f"78b9450e:data/export-{name}.csv"))
        for name in ("EtherPrice", "AvgGasPrice", "GasUsed")
    ]
    yield "date,eth_usd,avg_gas_gwei,gas_used"
    for price, gas, used in zip(*exports, strict=True):
        day = f"{_utc(price['UnixTimeStamp']):%F}"
        if "2017-01-01" <= day <= LAST_DAY:
            yield f"{day},{float(price['Value'])},{round(int(gas['Value (Wei)']) / 1e3) / 1e6},{used['Value']}"


def _hourly(clone: Path) -> Iterator[str]:
    """Yield Binance's hourly opens of BTC and ETH in 2022."""
    bitcoin, ether = (
        json.loads(_git(clone, "show", f"fc36d37a:EXPORT/{coin}USDT_hourly_010122_311222.json"))
        for coin in ("BTC", "ETH")
    )
    yield "utc,btc_usdt_open,eth_usdt_open"
    for day, prices in bitcoin.items():
        for hour, price in prices["Hours opens"].items():
            moment = datetime.strptime(day, "%d/%m/%y").replace(hour=int(hour), tzinfo=UTC)
            yield f"{moment:%F %T},{price},{ether[day]['Hours opens'][hour]}"


def _ratios(clone: Path) -> Iterator[str]:
    """Yield ratios of CryptoCompare's daily closes, which are in ETH; a coin without trades has none."""
    closes = {}
    for coin in ("USDC", "DAI", "BUSD", "TUSD", "sUSD", "WBTC", "USDT"):
        stored = json.loads(_git(clone, "show", f"2fa5096e:aavegov/data/price/{coin}-price.json"))
        closes[coin] = {row["time"]: row["close"] for row in stored["Data"]["Data"]}
    yield "date,usdc_usdt,dai_usdt,busd_usdt,tusd_usdt,susd_usdt,wbtc_eth,eth_usdt"
    bitcoin, tether = closes.pop("WBTC"), closes.pop("USDT")
    for time, dollar in tether.items():
        day = f"{_utc(time):%F}"
        if day >= "2020-01-01":
            ratios = [str(round(coin[time] / dollar * 1e6) / 1e6) if coin[time] else "" for coin in closes.values()]
            yield ",".join([day, *ratios, str(float(bitcoin[time])), str(round(1e6 / dollar) / 1e6)])


@dataclass(frozen=True)
class File:
    """A history file.

    Attributes
    ----------
    repository
        On GitHub, `owner/name`; all are under the MIT licence.
    source
        Commit and path in it.
    sha256
        Of the whole file, hex.
    build
        From a clone of the repository to the lines of the file; None where the file can only be checked.
    published
        Whether `make results` needs it.
    kept
        Columns, and the rows, that the slice for the tests keeps; None where the tests need none of it.
    """

    repository: str
    source: str
    sha256: str
    build: Callable[[Path], Iterator[str]] | None = None
    published: bool = False
    kept: tuple[str, Callable[[dict[str, str]], bool]] | None = None

    def state(self, path: Path) -> str:
        """Return `present`, `missing` or `other digest`."""
        if not path.is_file():
            return "missing"
        return "present" if sha256(path.read_bytes()).hexdigest() == self.sha256 else "other digest"

    @property
    def advice(self) -> str:
        """How to get the file."""
        if self.build is None:
            return f"derived from github.com/{self.repository} @ {self.source}; only its digest can be checked here"
        return f"git clone https://github.com/{self.repository}, then --build with the folder that holds the clone"


def _in_compound_slice(row: dict[str, str]) -> bool:
    """Keep the three default markets from March 2020 on, and the month in which wbtc_2 has a gap."""
    if row["part"] == "wbtc_2.csv":
        return row["date"].startswith("2021-07")
    return row["part"] in ("dai_1.csv", "usdc.csv", "usdt.csv") and row["date"] >= "2020-03-01"


FILES = {
    "aave_v3_daily.csv": File(
        "th3nolo/aave-v3-data",
        "479fc637 to 4cc55ce2: aave_v3_data.json, every commit",
        "14fe40a101497faaae3b9fc48322b898b4685e59736af699034cfd570205d209",
        _aave,
        published=True,
    ),
    "compound_v2_daily.csv": File(
        "openVietAnh/defi-data-scraping",
        "5b6e7c4b: compound-subgraph/compoundV2.zip",
        "28ed00298bf0fd0e9121ae19fb7475320175f753e4b8ecd71fc58dce63409996",
        _compound,
        published=True,
        kept=("date part supply_apr_pct total_borrow_usd tvl_usd", _in_compound_slice),
    ),
    "eth_price_gas_daily.csv": File(
        "cagatayozbek/ethereum-gas-price-prediction",
        "78b9450e: data/export-EtherPrice.csv, export-AvgGasPrice.csv, export-GasUsed.csv",
        "c9353ee881aa75ec1dc19e7f8c8d4f1ce94351c29520469b9227bc78098dad2e",
        _gas,
        published=True,
        kept=("date eth_usd avg_gas_gwei", lambda row: row["date"] >= "2020-02-01"),
    ),
    "eth_btc_hourly_2022.csv": File(
        "Tabasco5779/Binance-Historical-Hourly-Quotes",
        "fc36d37a: EXPORT/",
        "039980347cc819413073a3850913e3fa8ae4f7d68b114fedf38325088c30e4e3",
        _hourly,
        kept=("utc btc_usdt_open eth_usdt_open", lambda _: True),
    ),
    "stable_and_token_ratios_daily_2020_2023.csv": File(
        "xujiahuayz/auto-gov",
        "2fa5096e: aavegov/data/price/",
        "5f0b9b25e58bde8a486e63d473a434898e0ce503729d899a9ddb61238e9c83b1",
        _ratios,
        kept=("date usdc_usdt dai_usdt busd_usdt", lambda _: True),
    ),
    "uniswap_v3_polygon_usdc_weth_005_hourly.csv": File(
        "zelos-alpha/demeter",
        "94163c2f and 06f57e1d",
        "642e4676b480f05327eeb3bc62c1f873fde4b98c9d78d5556a156b1bff07a10c",
        kept=("close liquidity fees_usd", lambda _: True),
    ),
}


def build(folder: Path, clones: Path) -> None:
    """Write the files that are missing from `folder` and whose repository has been cloned into `clones`.

    Raises
    ------
    DataFileError
        If a clone cannot be read, or gives another file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in FILES.items():
        clone = clones / file.repository.partition("/")[2]
        if file.build is None or not clone.is_dir() or (folder / name).exists():
            continue
        try:
            raw = _text(file.build(clone))
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataFileError(f"{clone} does not hold {file.source} ({error!r}): clone it anew") from error
        if sha256(raw).hexdigest() != file.sha256:
            raise DataFileError(f"{clone} gives another {name}: clone it anew, with the whole history")
        (folder / name).write_bytes(raw)


def write_slice(folder: Path, out: Path) -> None:
    """Write the columns and rows that the tests need of each file of `folder`, compressed."""
    for name, file in FILES.items():
        if file.kept is not None:
            columns, wanted = file.kept[0].split(), file.kept[1]
            rows = [row for row in _rows((folder / name).read_bytes()) if wanted(row)]
            lines = [",".join(columns), *(",".join(row[column] for column in columns) for row in rows)]
            (out / f"{name}.xz").write_bytes(lzma.compress(_text(lines), preset=9 | lzma.PRESET_EXTREME))


def _text(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--build",
    "clones",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Make what is missing from the clones in this folder.",
)
@click.option("--all", "every", is_flag=True, help="The files of tools.calibration as well as those of make results.")
@click.option("--slice", "slice_out", type=click.Path(path_type=Path, file_okay=False, exists=True), hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def data(folder: Path, clones: Path | None, every: bool, slice_out: Path | None, as_json: bool) -> None:
    """Say which history files FOLDER holds and how to get the others; exit with 1 unless all are there."""
    if clones is not None:
        build(folder, clones)
    if slice_out is not None:
        write_slice(folder, slice_out)
    wanted = {name: file for name, file in FILES.items() if every or file.published}
    states = {name: file.state(folder / name) for name, file in wanted.items()}
    if as_json:
        click.echo(
            json.dumps(
                {
                    name: {"state": states[name], "sha256": file.sha256, "repository": file.repository,
                           "source": file.source, "licence": "MIT", "advice": file.advice}
                    for name, file in wanted.items()
                },
                indent=2,
            )
        )  # fmt: skip
    else:
        for name, file in wanted.items():
            click.echo(f"{states[name]:13s} {name}")
            if states[name] != "present":
                click.echo(f"{'':13s} {'move it away; ' if states[name] == 'other digest' else ''}{file.advice}")
    if set(states.values()) != {"present"}:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    sys.exit(run(data))
