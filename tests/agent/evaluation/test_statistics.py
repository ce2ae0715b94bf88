from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from agent.errors import ShapeError, TooFewDaysError
from agent.evaluation.statistics import (
    automatic_block,
    compare_paired,
    deflate,
    deflated_sharpe,
    interquartile_mean,
    iqm_interval,
)
from tests.agent.made_up import autoregression


def test_interquartile_mean__outliers_do_not_count() -> None:
    assert interquartile_mean(np.array([-100.0, 1, 2, 3, 4, 5, 6, 1000.0])) == pytest.approx(3.5)
    assert interquartile_mean(np.array([[0.0, 1.0], [2.0, 3.0]])) == pytest.approx(1.5)


def test_iqm_interval__covers_as_often_as_it_says(rng: np.random.Generator) -> None:
    hits = 0
    for _ in range(300):
        interval = iqm_interval(rng.normal(0.0, 1.0, (10, 4)), rng, repeats=300)
        hits += interval.low <= 0.0 <= interval.high
    assert 0.88 <= hits / 300 <= 0.99


def test_iqm_interval__resamples_seeds_within_folds(rng: np.random.Generator) -> None:
    folds = np.arange(8.0) * 100  # folds differ, seeds hardly: what is uncertain is the seeds
    scores = folds + rng.normal(0, 0.01, (10, 8))
    interval = iqm_interval(scores, rng)
    assert interval.value == pytest.approx(350.0, abs=0.1)
    assert interval.high - interval.low < 0.1
    one = rng.standard_normal((10, 1))
    single, many = (iqm_interval(np.repeat(one, folds, axis=1), rng) for folds in (1, 16))
    assert many.high - many.low < 0.5 * (single.high - single.low)  # every fold's runs are other runs
    with pytest.raises(ShapeError, match="two seeds"):
        iqm_interval(np.array([1.0]), rng)


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_compare_paired__coverage__near_the_level_with_autocorrelation(rng: np.random.Generator, rho: float) -> None:
    two, one, rejected, repeats = 0, 0, 0, 120
    for _ in range(repeats):
        noise = autoregression(rng, rho, 365)
        found = compare_paired(noise + 0.3, {"b": np.full(365, 0.3)}, rng, repeats=300, per_year=1.0)
        test = found.tests["b"]
        two += test.low <= 0.0 <= test.high
        one += found.excess_over_best.low <= 0.0
        rejected += test.p_value < 0.05
    assert two / repeats > 0.88
    assert one / repeats > 0.88
    assert rejected / repeats < 0.12


def test_compare_paired__blocks_are_needed__single_days_would_be_too_sure(rng: np.random.Generator) -> None:
    widths = []
    for block in (1.0, None):
        noise = autoregression(np.random.default_rng(3), 0.8, 365)
        test = compare_paired(noise, {"b": np.zeros(365)}, rng, repeats=500, block=block).tests["b"]
        widths.append(test.high - test.low)
    assert widths[1] > 1.7 * widths[0]
    assert automatic_block(autoregression(rng, 0.8, 2000)[:, None]) > 5 * automatic_block(
        rng.standard_normal((2000, 1))
    )


def test_compare_paired__what_days_have_in_common__cancels(rng: np.random.Generator) -> None:
    market = rng.normal(0.0, 1.0, 300)
    policy, baseline = market + 0.02, market + rng.normal(0, 0.02, 300)
    found = compare_paired(policy, {"b": baseline}, rng, repeats=500)
    assert found.tests["b"].p_value < 0.01
    assert found.tests["b"].excess == pytest.approx(0.02 * 365, abs=0.005 * 365)


def test_compare_paired__best_baseline_and_its_bound(rng: np.random.Generator) -> None:
    noise = rng.normal(0.0, 1e-5, (4, 365))
    baselines = {name: noise[i] + level for i, (name, level) in enumerate([("a", 0.0), ("b", 5e-6), ("c", -5e-6)])}
    found = compare_paired(noise[3] + 1.5e-5, baselines, rng, repeats=1000)
    assert found.best == "b"
    assert found.excess_over_best.value == pytest.approx(found.tests["b"].excess)
    assert 0 < found.excess_over_best.low < found.excess_over_best.value
    assert found.excess_over_best.low > found.tests["b"].low  # one-sided, so less is given away
    weak = compare_paired(noise[3] + 5e-6, baselines, rng, repeats=1000)
    assert weak.excess_over_best.low < 0


def test_compare_paired__adjusted__family_wise_error_holds_where_the_single_one_does_not(
    rng: np.random.Generator,
) -> None:
    single = family = 0
    for _ in range(100):
        baselines = {str(i): rng.standard_normal(120) for i in range(10)}
        found = compare_paired(rng.standard_normal(120), baselines, rng, repeats=200, block=1.0)
        single += any(test.p_value < 0.05 for test in found.tests.values())
        family += any(test.p_adjusted < 0.05 for test in found.tests.values())
    assert family <= 11  # 5 expected
    assert single >= 2 * family


def test_compare_paired__adjusted__never_below_the_single_and_in_their_order(rng: np.random.Generator) -> None:
    shared = rng.standard_normal(200)
    baselines = {str(i): shared + 0.3 * rng.standard_normal(200) + 0.02 * i for i in range(6)}
    tests = list(compare_paired(shared + 0.1, baselines, rng, repeats=1000).tests.values())
    assert all(test.p_adjusted >= test.p_value - 1e-12 for test in tests)
    by_single = sorted(tests, key=lambda test: (test.p_value, test.p_adjusted))
    assert [test.p_adjusted for test in by_single] == sorted(test.p_adjusted for test in tests)


def test_compare_paired__the_same_policy__no_claim(rng: np.random.Generator) -> None:
    same = rng.standard_normal(100)
    test = compare_paired(same, {"itself": same.copy()}, rng, repeats=100).tests["itself"]
    assert test.excess == 0.0
    assert test.p_value == pytest.approx(1.0)


def test_compare_paired__same_generator__same_result() -> None:
    returns, baselines = np.random.default_rng(0).standard_normal((2, 60))
    found = [compare_paired(returns, {"b": baselines}, np.random.default_rng(5), repeats=50) for _ in range(2)]
    assert found[0] == found[1]


def test_compare_paired__what_cannot_be_tested__refused(rng: np.random.Generator) -> None:
    with pytest.raises(ShapeError, match="same days"):
        compare_paired(np.zeros(50), {"b": np.zeros(49)}, rng)
    with pytest.raises(ShapeError, match="at least one"):
        compare_paired(np.zeros(50), {}, rng)
    with pytest.raises(ShapeError, match="finite"):
        compare_paired(np.full(50, np.nan), {"b": np.zeros(50)}, rng)
    with pytest.raises(TooFewDaysError, match="19"):
        compare_paired(np.zeros(19), {"b": np.zeros(19)}, rng)


def test_deflated_sharpe__example_of_the_paper() -> None:
    # Bailey and Lopez de Prado (2014): ratio 2.5 a year over five years of 250 days, 100 trials of variance 1/2 a year,
    # skewness -3, kurtosis 10; they find a threshold of 0.1132 a day and 0.9004.
    found = deflate(2.5 / np.sqrt(250), 1250, -3.0, 10.0, 100, 0.5 / 250)
    assert found.threshold == pytest.approx(0.1132, abs=5e-5)
    assert found.probability == pytest.approx(0.9004, abs=5e-5)


def test_deflated_sharpe__one_trial__is_the_plain_test__more_trials_less_sure(rng: np.random.Generator) -> None:
    returns = 0.1 + rng.standard_normal(400)
    one, ten, many = (deflated_sharpe(returns, trials) for trials in (1, 10, 1000))
    assert one.threshold == 0.0
    plain = norm.cdf(returns.mean() / returns.std() * np.sqrt(400))
    assert one.probability == pytest.approx(plain, abs=0.02)
    assert one.probability > ten.probability > many.probability


def test_deflated_sharpe__best_of_many_without_skill__is_not_believed(rng: np.random.Generator) -> None:
    believed = naive = 0
    for _ in range(60):
        trials = rng.standard_normal((50, 250))
        best = trials[(trials.mean(1) / trials.std(1)).argmax()]
        believed += deflated_sharpe(best, 50).probability > 0.95
        naive += deflated_sharpe(best, 1).probability > 0.95
    assert naive > 50
    assert believed < 8
    with pytest.raises(ShapeError, match="trial"):
        deflated_sharpe(rng.standard_normal(100), 0)
    with pytest.raises(TooFewDaysError):
        deflated_sharpe(rng.standard_normal(10), 1)


def test_compare_paired__differences_on_a_few_days_only__the_bound_stays_of_their_size() -> None:
    own = np.full(41, 1e-4)
    own[[3, 19]] += 2e-4  # without the floor under a resample's error the bound was beyond any number of percent
    found = compare_paired(own, {"other": np.full(41, 1e-4)}, np.random.default_rng(1)).excess_over_best
    assert found.value == pytest.approx(4e-4 / 41 * 365)
    assert -5 * found.value < found.low < found.value
