from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.errors import DataFileError
from agent.market.defi import VENUES, DefiMarket, depegs, shipped_parameters
from agent.market.path import MarketPath
from agent.market.processes import Depegs, mean_reverting, over_mean, recurse, trailing_volatility, two_state
from agent.observation.observe import DEFI_FEATURES
from agent.units import DAY, GWEI, HOUR, YEAR
from tools.calibration.defi import main, read
from tools.results.data import FILES

RNG = np.random.default_rng
COLUMN = {name: index for index, name in enumerate(DEFI_FEATURES)}


def market(seconds: int = 300, **changes: dict[str, Any]) -> DefiMarket:
    """Return the shipped market with some parameters changed."""
    given = shipped_parameters()
    return DefiMarket({**given, **{key: {**given[key], **part} for key, part in changes.items()}}, seconds)


def seen(path: MarketPath, name: str) -> np.ndarray:
    assert path.features is not None
    return path.features[:, :, COLUMN[name]]


def eth(path: MarketPath) -> np.ndarray:
    """The price of ETH, from the cost of gas."""
    return path.gas_cost / (seen(path, "gas_gwei") * GWEI)


def moves_of(path: MarketPath, name: str, seconds: int) -> np.ndarray:
    """Log returns behind a price over its trailing mean."""
    over = np.log(seen(path, name))
    return over[:, 1:] / np.exp(-seconds / DAY) - over[:, :-1]


STILL = {"deviation": [0.0, 0.0, 0.0], "per_year": [0.0, 0.0, 0.0]}


def test_sample__names_shapes_and_features() -> None:
    path = DefiMarket().sample(RNG(0), 4, 300)
    assert path.names == VENUES
    assert (path.batch, path.length, path.count) == (4, 300, 5)
    assert path.feature_names == DEFI_FEATURES
    assert (np.diff(path.timestamps) == 300).all()
    assert (seen(path, "hour") == path.timestamps % DAY / HOUR).all()
    assert ((seen(path, "congestion") > 0) & (seen(path, "congestion") < 1)).all()
    again = DefiMarket().sample(RNG(0), 4, 300)
    assert np.array_equal(path.rates, again.rates)
    assert not np.array_equal(path.rates, DefiMarket().sample(RNG(1), 4, 300).rates)


def test_uniswap__factor__is_that_of_a_pool_that_is_traded_against() -> None:
    """A constant-product pool, arbitraged to every price: the position's value, by its coins, is what factors say."""
    path = market(HOUR, pegs=STILL).sample(RNG(1), 3, 500)
    assert path.factors is not None
    price = eth(path)
    liquidity = 1000.0
    value = liquidity / np.sqrt(price) * price + liquidity * np.sqrt(price)
    assert np.allclose(path.factors[:, 1:, 0].cumprod(1), value[:, 1:] / value[:, :1], rtol=1e-9)


def test_uniswap__factor_against_holding__is_the_impermanent_loss() -> None:
    path = market(HOUR, pegs=STILL).sample(RNG(2), 50, 2000)
    assert path.factors is not None
    ratio = eth(path)[:, -1] / eth(path)[:, 0]
    hold = (1.0 + ratio) / 2.0
    assert np.allclose(path.factors[:, 1:, 0].prod(1) / hold, 2.0 * np.sqrt(ratio) / (1.0 + ratio), rtol=1e-9)
    assert (path.factors[:, 1:, 0].prod(1) < hold).all()


def test_uniswap__fees__rise_with_the_volatility_and_pay_about_what_is_lost() -> None:
    path = market(HOUR, pegs=STILL).sample(RNG(3), 40, 2000)
    volatility = np.abs(moves_of(path, "eth_to_mean", HOUR))
    fees = path.rates[:, 1:, 0]
    wild = volatility > np.quantile(volatility, 0.9)
    assert fees[wild].mean() > 1.3 * fees[~wild].mean()
    lost = (volatility**2).mean() * YEAR / HOUR / 8.0  # loss against rebalancing of a full range: variance over eight
    assert 0.5 < fees.mean() / lost < 1.5


def test_prices__correlated_wild_in_clusters_and_the_same_at_every_step_length() -> None:
    for seconds, rows in ((300, 12_000), (HOUR, 6000)):
        path = DefiMarket(seconds=seconds).sample(RNG(4), 20, rows)
        ether, bitcoin = (moves_of(path, name, seconds) for name in ("eth_to_mean", "btc_to_mean"))
        assert np.corrcoef(ether.ravel(), bitcoin.ravel())[0, 1] == pytest.approx(0.894, abs=0.02)
        assert ether.std() * np.sqrt(YEAR / seconds) == pytest.approx(0.858, rel=0.1)
        assert bitcoin.std() * np.sqrt(YEAR / seconds) == pytest.approx(0.639, rel=0.1)
        day = DAY // seconds
        powers = np.log((ether[:, : rows // day * day - day] ** 2).reshape(20, -1, day).mean(2))
        assert np.corrcoef(powers[:, 1:].ravel(), powers[:, :-1].ravel())[0, 1] > 0.3
        assert seen(path, "eth_volatility").mean() == pytest.approx(0.82, rel=0.15)


def test_pegs__a_depeg_moves_the_positions_in_the_coin_and_no_other() -> None:
    path = market(HOUR, pegs={"per_year": [20.0, 0.0, 0.0], "deviation": [0.0] * 3}).sample(RNG(5), 50, 800)
    assert path.factors is not None
    usdc, dai, usdt = (seen(path, name) for name in ("usdc_peg", "dai_peg", "usdt_peg"))
    assert usdc.min() < 0.96
    assert (usdt == 1.0).all()
    ratio = usdc[:, 1:] / usdc[:, :-1]
    assert np.allclose(path.factors[:, 1:, 4], ratio)
    assert np.allclose(path.factors[:, 1:, 1], dai[:, 1:] / dai[:, :-1])
    assert (path.factors[:, 1:, 2] == 1.0).all()
    assert np.allclose(path.factors[:, 1:, 0], np.sqrt(ratio * eth(path)[:, 1:] / eth(path)[:, :-1]))
    weakest = np.minimum(np.minimum(usdc, dai), usdt)
    assert np.allclose(path.factors[:, 1:, 3], weakest[:, 1:] / weakest[:, :-1])


def test_pegs__recovery__as_slow_as_that_of_march_2023() -> None:
    """Closes of USDC, 2023-03-11 to 13: 4.0, 1.4 and 0.5 % below: each day takes about two thirds of what was left."""
    given = depegs(shipped_parameters()["pegs"])
    calm = type(given)(**{**vars(given), "per_year": np.array([5.0, 0, 0]), "priced": 0.0, "spread": 0.0})
    below = calm.sample(RNG(6), (96, 2000), HOUR)[:, :, 1]
    struck = (below[1:] > 0.04) & (below[:-1] == 0)
    row, path = np.nonzero(struck[:40])
    assert len(row) > 10
    assert np.median(below[row + 1 + 24, path]) == pytest.approx(0.0144, rel=0.1)
    assert np.median(below[row + 1 + 48, path]) == pytest.approx(0.005, rel=0.1)


@pytest.mark.parametrize("priced", [0.0, 0.25, 1.0])
def test_pegs__expected_loss_for_good__is_the_priced_share_of_events(priced: float) -> None:
    """At one, a coin below its peg is worth its price: whoever buys it then gains nothing on average."""
    per_year, size, days, recovery = 1.0, 0.02, 60, 2.0
    given = Depegs(np.array([per_year]), np.ones((1, 1)), size, 0.0, np.array([recovery * DAY]), 10.0, priced)
    below = given.sample(RNG(7), (days, 200_000), DAY)[-1, :, 0]
    hit = size * per_year / 365.0
    recovering = sum(np.exp(-day / recovery) for day in range(days))
    expected = hit * (priced * days + (1.0 - priced) * recovering)
    assert below.mean() == pytest.approx(expected, abs=4.0 * below.std() / np.sqrt(below.size) + 0.02 * expected)


def test_lending__lent_out_in_full__pays_and_does_not_pay_out() -> None:
    path = market(HOUR, full={"per_year": 50.0}).sample(RNG(8), 20, 2000)
    assert path.liquidity is not None
    assert path.depth is not None
    full = path.liquidity[:, :, [1, 2]] == 0
    assert full.mean() == pytest.approx(50 * 6 / (50 * 6 + 8760), rel=0.3)
    assert (path.rates[:, :, [1, 2]][full] >= 0.2).all()
    assert (path.liquidity <= path.depth).all()
    assert (path.liquidity[:, :, [0, 3]] == path.depth[:, :, [0, 3]]).all()


def test_lending__rates__persist() -> None:
    logs = np.log(DefiMarket(seconds=DAY).sample(RNG(9), 20, 700).rates[:, :, 1:3])
    assert np.corrcoef(logs[:, 1:].ravel(), logs[:, :-1].ravel())[0, 1] > 0.8


def test_gas__is_money_and_dearer_in_the_afternoon() -> None:
    path = market(HOUR, gas={"deviation": 0.0}).sample(RNG(10), 20, 2400)
    gwei, hour = seen(path, "gas_gwei"), seen(path, "hour")
    assert path.gas_cost[:, 0] == pytest.approx(gwei[:, 0] * 1e-9 * 1964.82, rel=1e-9)
    assert np.log(gwei[hour == 15]).mean() - np.log(gwei[hour == 3]).mean() == pytest.approx(0.4, abs=0.1)
    assert np.corrcoef(np.log(gwei).ravel(), seen(path, "congestion").ravel())[0, 1] > 0.5


def test_features__trailing_means__know_nothing_of_later_rows() -> None:
    moves = RNG(11).standard_normal((50, 3, 2)) * 0.01
    other = moves.copy()
    other[31:] *= 5.0
    start = np.full((3, 2), 0.5)
    for made, later in (
        (over_mean(moves, start, DAY, HOUR, start), over_mean(other, start, DAY, HOUR, start)),
        (trailing_volatility(moves, start, DAY, HOUR), trailing_volatility(other, start, DAY, HOUR)),
    ):
        assert np.array_equal(made[:31], later[:31])
        assert not np.array_equal(made[31:], later[31:])


def test_processes__stationary_from_the_first_row() -> None:
    deviation, time = np.array([0.3, 2.0]), np.array([5.0, 50.0]) * HOUR
    series = mean_reverting(RNG(12), (200, 4000), HOUR, deviation, time)
    for row in (0, 20, 199):
        assert series[row].std(0) == pytest.approx(deviation, rel=0.05)
    lagged = [np.corrcoef(series[100, :, k], series[101, :, k])[0, 1] for k in (0, 1)]
    assert lagged == pytest.approx(np.exp(-HOUR / time), abs=0.02)
    states = two_state(RNG(13), (300, 4000), HOUR, np.array([30.0 * HOUR]), np.array([10.0 * HOUR]))
    for row in (0, 299):
        assert states[row].mean() == pytest.approx(0.25, abs=0.03)
    assert recurse(np.ones((3, 1, 1)), 0.5, np.full((1, 1), 2.0)).ravel().tolist() == [2.0, 2.0, 2.0]


def test_digest__names_parameters_and_step() -> None:
    assert DefiMarket().digest == DefiMarket().digest
    assert len({DefiMarket().digest, DefiMarket(seconds=60).digest, market(full={"hours": 1.0}).digest}) == 3


@pytest.mark.slow
def test_shipped_parameters__are_those_of_the_documented_command(
    compound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(compound.parent), str(tmp_path / "fit.json")]) == 0
    again, shipped = json.loads((tmp_path / "fit.json").read_text()), shipped_parameters()
    assert again.keys() == shipped.keys()
    for key in ("prices", "uniswap", "lending", "full", "curve", "yearn", "pegs", "gas"):
        assert again[key].keys() == shipped[key].keys()
        for entry, value in shipped[key].items():
            assert np.allclose(again[key][entry], value, rtol=1e-6), (key, entry)
    assert np.allclose(again["depth"], shipped["depth"])
    assert shipped["fitted_to"] == {name: f"0x{FILES[name].sha256}" for name in again["fitted_to"]}
    table = capsys.readouterr().out
    assert "kurtosis of hourly moves" in table
    assert table.count("outside") <= 7  # of 23 statistics, each with a 90 % range


def test_calibration__files_missing__says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataFileError, match=r"eth_btc_hourly_2022\.csv"):
        read(tmp_path)
    assert main([str(tmp_path), str(tmp_path / "out.json")]) == 1
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
