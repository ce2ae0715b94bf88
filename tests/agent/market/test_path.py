from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.errors import MarketDataError
from agent.market.path import MarketPath
from agent.units import DAY, YEAR
from tests.agent.made_up import path_of


def _full(rng: np.random.Generator) -> MarketPath:
    shape = (3, 6, 2)
    return replace(
        path_of(rng.uniform(0, 0.1, shape)),
        factors=rng.uniform(0.9, 1.1, shape),
        earned=rng.uniform(0, 0.1, shape),
        depth=rng.uniform(1e6, 1e9, shape),
        liquidity=rng.uniform(0, 1e6, shape),
        features=rng.normal(0, 1, (3, 6, 4)),
        feature_names=("a", "b", "c", "d"),
    )


def test_row__gas_and_liquidity_now_earnings_of_the_next(rng: np.random.Generator) -> None:
    path = _full(rng)
    row = path.row(2)
    assert np.array_equal(row.growth, 1 + path.earned[:, 3] * (DAY / YEAR))  # type: ignore[index]
    assert row.factors is not None
    assert row.depth is not None
    assert row.liquidity is not None
    assert np.array_equal(row.factors, path.factors[:, 3])  # type: ignore[index]
    assert np.array_equal(row.depth, path.depth[:, 3])  # type: ignore[index]
    assert np.array_equal(row.liquidity, path.liquidity[:, 2])  # type: ignore[index]
    assert np.array_equal(row.gas_cost, path.gas_cost[:, 2])
    assert np.array_equal(row.rates, path.rates[:, 2])
    assert np.array_equal(row.features, path.features[:, 2])  # type: ignore[arg-type, index]
    assert np.array_equal(row.growth, path.growth()[:, 2])
    plain = path_of(path.rates).row(2)
    assert np.array_equal(plain.growth, 1 + path.rates[:, 3] * (DAY / YEAR))
    assert plain.factors is plain.depth is plain.liquidity is None


def test_part_and_take__every_field_goes_along(rng: np.random.Generator) -> None:
    path = _full(rng)
    part = path.part(1, 4).take(np.array([2, 0, 2, 2]))
    assert (part.batch, part.length, part.feature_names) == (4, 3, path.feature_names)
    for name in ("rates", "gas_cost", "factors", "earned", "depth", "liquidity", "features"):
        assert np.array_equal(getattr(part, name), getattr(path, name)[[2, 0, 2, 2], 1:4]), name
    assert np.array_equal(part.timestamps, path.timestamps[1:4])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("factors", -0.1),
        ("factors", np.inf),
        ("earned", -0.1),
        ("depth", np.nan),
        ("depth", -1.0),
        ("liquidity", -1.0),
        ("rates", np.inf),
        ("gas_cost", np.nan),
    ],
)
def test_path__impossible_number__refused_by_name(rng: np.random.Generator, name: str, value: float) -> None:
    path = _full(rng)
    wrong = np.array(getattr(path, name))
    wrong[1, 3] = value
    with pytest.raises(MarketDataError, match=name):
        replace(path, **{name: wrong})


def test_path__shapes_and_feature_names__must_agree(rng: np.random.Generator) -> None:
    path = _full(rng)
    with pytest.raises(MarketDataError, match="depth"):
        replace(path, depth=np.ones((3, 6, 3)))
    for wrong in ({"feature_names": ()}, {"feature_names": ("a", "b")}, {"features": None}):
        with pytest.raises(MarketDataError, match="features"):
            replace(path, **wrong)
    endless = replace(path, depth=np.full((3, 6, 2), np.inf), liquidity=np.full((3, 6, 2), np.inf))
    assert np.array_equal(endless.row(0).gain(np.ones((3, 2))), endless.growth()[:, 0] * endless.factors[:, 1])  # type: ignore[index]
