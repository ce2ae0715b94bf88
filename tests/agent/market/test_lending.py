from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.errors import (
    BadValueError,
    DataFileError,
    DuplicateDateError,
    EmptyDataError,
    GapError,
    MarketDataError,
    MissingColumnError,
    RateRangeError,
    TooFewDaysError,
    UnknownMarketError,
    WindowError,
)
from agent.market.lending import RateModel, SyntheticMarket, fit, fitted_market, sample_rates
from agent.market.path import gas_cost
from agent.market.replay import load_gas, load_history
from tests.agent.made_up import history_of, path_of
from tools.calibration.lending import describe_rates, main
from tools.results.data import FILES

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str) -> Path:
        file = tmp_path / "rates.csv"
        file.write_text(text)
        return file

    return put


def _wide(days: int = 5) -> list[str]:
    return ["date,a,b,c"] + [f"{date(2022, 1, 1) + timedelta(i)},0.01,0.02,0.03{i}" for i in range(days)]


def test_load_history__wide__as_written(write: Write) -> None:
    history = load_history(write("\n".join(_wide())))
    assert history.names == ("a", "b", "c")
    assert (history.start, history.end, len(history)) == (date(2022, 1, 1), date(2022, 1, 5), 5)
    assert history.rates[0, 4].tolist() == [0.01, 0.02, 0.034]


def test_load_history__excel_flavour_and_any_order__same_rates(write: Write) -> None:
    plain = load_history(write("\n".join(_wide())))
    lines = _wide()
    other = load_history(write("\ufeff" + "\r\n".join([lines[0], *reversed(lines[1:])]) + "\r\n\r\n"))
    assert np.array_equal(plain.rates, other.rates)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: "", EmptyDataError, "header"),
        (lambda t: t[0], EmptyDataError, "header"),
        (lambda t: [t[0], *t[2:3], *t[4:]], GapError, r"line 3 \(2022-01-04, a\): 1 day is missing after 2022-01-02"),
        (lambda t: [*t, t[2]], DuplicateDateError, r"line 7 \(2022-01-02, a\).*line 3"),
        (lambda t: [*t[:3], "2022-01-03,0.01,,0.03", *t[4:]], BadValueError, r"line 4 \(2022-01-03\): b"),
        (lambda t: [*t[:3], "2022-01-03,0.01,nan,0.03", *t[4:]], BadValueError, r"line 4 .*b is 'nan'"),
        (lambda t: [*t[:3], "2022-01-03,0.01,inf,0.03", *t[4:]], BadValueError, "line 4"),
        (lambda t: [*t[:3], "2022-01-03,0.01,x,0.03", *t[4:]], BadValueError, "line 4"),
        (lambda t: [*t[:3], "2022-01-03,0.01,0.02", *t[4:]], BadValueError, "line 4: 3 cells"),
        (lambda t: [*t[:3], "03/01/2022,0.01,0.02,0.03", *t[4:]], BadValueError, "line 4: '03/01/2022'"),
        (lambda t: [*t[:3], "2022-01-03,0.01,-0.02,0.03", *t[4:]], RateRangeError, r"line 4 .*b.*below zero"),
        (lambda t: [*t[:3], "2022-01-03,0.01,2.0,0.03", *t[4:]], RateRangeError, "fractions per year"),
        (lambda t: [line.replace("date", "day") for line in t], MissingColumnError, "first column must be 'date'"),
        (lambda t: [line.rsplit(",", 2)[0] for line in t], MissingColumnError, "1 rate columns"),
        (lambda t: [t[0].replace("b", "a"), *t[1:]], MissingColumnError, "name of its own"),
        (lambda t: t[:2], TooFewDaysError, "two days"),
        (lambda t: ["date,part,x", "2022-01-01,usdc,1"], MissingColumnError, "supply_apr_pct"),
        (lambda t: ["date,part,supply_apr_pct", "2022-01-01,usdc.csv,1"], UnknownMarketError, "no part 'dai_1'"),
    ],
)
def test_load_history__bad_file__named_error_with_line_and_day(
    write: Write, change: Callable[[list[str]], list[str] | str], error: type[Exception], message: str
) -> None:
    changed = change(_wide())
    with pytest.raises(error, match=message):
        load_history(write(changed if isinstance(changed, str) else "\n".join(changed)))


def test_load_history__no_file_or_no_text__refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="cannot read"):
        load_history(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataFileError, match="UTF-8"):
        load_history(tmp_path / "binary.csv")
    (tmp_path / "endless.csv").write_text('date,a,b\n"' + "x" * 200_000)
    with pytest.raises(DataFileError, match="not CSV"):
        load_history(tmp_path / "endless.csv")


def test_load_history__compound__percent_and_common_days(write: Write) -> None:
    rows = [f"2022-01-0{d},x,{p}.csv,{d}" for p in ("dai_1", "usdc", "usdt") for d in range(1 if p == "usdc" else 2, 6)]
    history = load_history(write("\n".join(["date,utc,part,supply_apr_pct", *rows])))
    assert history.start == date(2022, 1, 2)
    assert history.rates[0, 0].tolist() == [0.02] * 3


def test_window__chosen_by_start_and_days__or_refused(write: Write) -> None:
    history = load_history(write("\n".join(_wide())))
    window = history.window(date(2022, 1, 2), 3)
    assert (window.start, window.end) == (date(2022, 1, 2), date(2022, 1, 4))
    assert window.timestamps[0] == 1_641_081_600  # 2022-01-02 00:00 UTC
    with pytest.raises(TooFewDaysError, match="4 days from 2022-01-02"):
        history.window(date(2022, 1, 2), 5)
    with pytest.raises(WindowError, match="runs from 2022-01-01 to 2022-01-05"):
        history.window(date(2021, 1, 2))


def test_before__a_day__nothing_of_it_or_later(write: Write) -> None:
    history = load_history(write("\n".join(_wide())))
    known = history.before(date(2022, 1, 3))
    assert known is not None
    assert known.end == date(2022, 1, 2)
    assert history.before(date(2022, 1, 1)) is None
    assert history.before(date(2022, 1, 2)) is None  # one day is no path: nothing is earned


def test_load_gas__gwei_and_price__asset_units(write: Write) -> None:
    costs = load_gas(write("date,eth_usd,avg_gas_gwei\n2022-01-01,3000,50\n"))
    assert costs[date(2022, 1, 1)] == pytest.approx(50e-9 * 3000)
    with pytest.raises(MissingColumnError, match="eth_usd"):
        load_gas(write("date,avg_gas_gwei\n2022-01-01,3000\n"))
    with pytest.raises(BadValueError, match="line 2"):
        load_gas(write("date,eth_usd,avg_gas_gwei\n2022-01-01,,50\n"))


def test_path__interest__is_of_the_row_after_the_decision() -> None:
    path = path_of([[0.1, 0.2], [0.365, 0.73], [0.5, 0.5]])
    assert path.row(0).growth.tolist() == [[1 + 0.001, 1 + 0.002]]


@pytest.mark.parametrize("rates", [[[0.1, np.nan]] * 3, [[0.1, -0.1]] * 3, [[0.1, 0.1]]])
def test_path__impossible__refused(rates: list[list[float]]) -> None:
    with pytest.raises(MarketDataError):
        path_of(rates)


def test_gas_cost__one_gwei_at_3000() -> None:
    assert gas_cost(1.0, 3000.0) == pytest.approx(3e-6)


def test_synthetic__same_seed_same_paths_other_seed_others(market: SyntheticMarket) -> None:
    one, same, other = (market.sample(np.random.default_rng(s), 4, 50) for s in (1, 1, 2))
    assert np.array_equal(one.rates, same.rates)
    assert np.array_equal(one.gas_cost, same.gas_cost)
    assert not np.array_equal(one.rates, other.rates)
    assert not np.array_equal(one.rates[0], one.rates[1])


def test_synthetic__global_random_state__not_touched(market: SyntheticMarket) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    market.sample(np.random.default_rng(0), 2, 20)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_fit__its_own_samples__finds_the_parameters_again(market: SyntheticMarket) -> None:
    model = market.model
    again = fit(history_of(sample_rates(model, np.random.default_rng(3), 1, 6000)[0]))
    for matrix, found in ((model.first + model.second, again.first + again.second), (model.factor, again.factor)):
        assert np.abs(matrix - found).max() < 0.12
    assert again.scales[1] / again.scales[0] > 1.5
    assert 4 < again.dof < 9


def test_fit__explosive_history__made_stable(rng: np.random.Generator) -> None:
    growth = (1.02 ** np.arange(300) - 1) / (1.02**299 - 1)
    model = fit(history_of(np.exp(-9 + 8 * growth[:, None] + rng.normal(0, 0.01, (300, 3)))))
    companion = np.block([[model.first, model.second], [np.eye(3), np.zeros((3, 3))]])
    assert np.abs(np.linalg.eigvals(companion)).max() == pytest.approx(0.995)


def test_fit__too_short_or_dead__refused(rng: np.random.Generator) -> None:
    with pytest.raises(TooFewDaysError, match="180"):
        fit(history_of(rng.uniform(0.01, 0.02, (179, 3))))
    with pytest.raises(MarketDataError, match="never moves"):
        fit(history_of(np.column_stack([rng.uniform(0.01, 0.02, (300, 2)), np.full(300, 0.02)])))


def test_fitted_market__short_history__falls_back_to_the_shipped_one(rng: np.random.Generator) -> None:
    short = history_of(rng.uniform(0.01, 0.02, (50, 4)))
    assert fitted_market(short).names == short.names
    assert fitted_market(short).model.fitted_to["source"] == "compound_v2_daily.csv"
    long = history_of(rng.uniform(0.01, 0.02, (200, 4)))
    assert fitted_market(long).model.fitted_to["source"] == "made-up.csv"


@pytest.mark.parametrize("count", [2, 3, 5, 16])
def test_exchangeable__any_number__behaves_like_the_fitted_markets(market: SyntheticMarket, count: int) -> None:
    model = market.model.exchangeable(tuple("abcdefghijklmnop"[:count]))
    here = describe_rates(sample_rates(model, np.random.default_rng(0), 1, 3000)[0])
    there = describe_rates(sample_rates(market.model, np.random.default_rng(0), 1, 3000)[0])
    for key in ("median rate", "daily deviation of log rates"):
        assert 0.5 < here[key] / there[key] < 2


def test_shipped_parameters__are_those_of_the_documented_command(
    compound: Path, market: SyntheticMarket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(compound), str(tmp_path / "fit.json")]) == 0
    import json

    again = RateModel.from_json(json.loads((tmp_path / "fit.json").read_text()))
    for key in ("intercept", "first", "second", "factor", "scales", "stay"):
        assert np.allclose(getattr(again, key), getattr(market.model, key), rtol=1e-6)
    whole = FILES["compound_v2_daily.csv"].sha256  # the slice's own digest is another
    assert {**again.fitted_to, "sha256": whole} == market.model.fitted_to
    table = capsys.readouterr().out
    assert "best market changes per year" in table
    assert table.count("outside") <= 3  # of 13 statistics, each with a 90 % range


def test_load_history__compound_file__whole(compound: Path) -> None:
    history = load_history(compound)
    assert (history.start, history.end) == (date(2020, 5, 1), date(2023, 3, 6))
    assert history.rates.shape == (1, 1040, 3)
    with pytest.raises(GapError, match=r"line \d+ \(2021-07-11, wbtc_2\)"):
        load_history(compound, ("usdc", "wbtc_2"))
