"""Fixtures of the agent's tests: small markets, settings, and the real history where it is at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.backtest import Setting
from agent.market.lending import SyntheticMarket, shipped_market
from agent.vault.limits import Limits

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def limits() -> Limits:
    return Limits.uniform(3)


@pytest.fixture
def setting(limits: Limits) -> Setting:
    return Setting(limits)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def market() -> SyntheticMarket:
    return shipped_market()


@pytest.fixture(scope="session")
def compound() -> Path:
    file = DATA / "compound_v2_daily.csv"
    if not file.exists():
        pytest.skip("../shared/data is not here")
    return file
