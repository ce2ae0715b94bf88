"""Fixtures of the agent's tests: small markets, settings, and a slice of real history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.backtest import Setting
from agent.market.lending import SyntheticMarket, shipped_market
from agent.vault.limits import Limits
from tests.data import unpack


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
def compound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slice's Compound V2 file; the others lie beside it."""
    return unpack(tmp_path_factory.mktemp("data")) / "compound_v2_daily.csv"
