from __future__ import annotations

import numpy as np
import pytest

from agent.errors import ObservationError
from agent.observation.observe import CHAIN, DEFI, RWA
from agent.policies.actions import to_weights
from agent.vault.limits import Limits


def test_to_weights__clipped_like_the_action_space__all_deployed(limits: Limits) -> None:
    assert to_weights(CHAIN, np.array([[-9.0, 0.0, 9.0]])).tolist() == [[1.0, 2.0, 3.0]]
    for action in ([-1, -1, -1], [1, -1, -1], [0.3, 0.2, 0.9]):
        assert limits.project(to_weights(CHAIN, np.array([action])), np.ones(1)).sum() == pytest.approx(0.98)


def test_to_weights__defi__shares_of_nav_with_the_rest_idle(limits: Limits) -> None:
    assert to_weights(DEFI, np.array([[-9.0, 0.25, 9.0]])).tolist() == [[0.0, 0.25, 1.0]]
    assert limits.project(to_weights(DEFI, np.zeros((1, 3))), np.ones(1)).tolist() == [[0.0, 0.0, 0.0]]


def test_fault_2_to_weights__rwa__softmax_projected_exactly(rng: np.random.Generator) -> None:
    """Clipped to 5 and 60 % and renormalised, the extreme action gives 0.738: over its cap."""
    assert to_weights(RWA, np.array([[1.0, -1.0, -1.0]]))[0] == pytest.approx([0.6, 0.2, 0.2], abs=1e-12)
    assert to_weights(RWA, np.zeros((1, 3)))[0] == pytest.approx([1 / 3] * 3, abs=1e-12)
    weights = to_weights(RWA, rng.uniform(-3, 3, (10_000, 3)))
    assert (weights >= 0.05).all()
    assert (weights <= 0.6).all()
    assert np.abs(weights.sum(-1) - 1).max() < 1e-12


def test_to_weights__nan__stays_nan_so_that_the_decision_refuses_it() -> None:
    for version in (CHAIN, DEFI):
        assert np.isnan(to_weights(version, np.array([[np.nan, 0.0, 0.0]]))).any()


def test_to_weights__unknown_version__refused() -> None:
    with pytest.raises(ObservationError, match="chain-1"):
        to_weights("chain-1", np.zeros((1, 3)))
