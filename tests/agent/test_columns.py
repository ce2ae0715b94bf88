from __future__ import annotations

import numpy as np
import pytest

from agent.columns import every, mean, some, total


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 16])
def test_reductions__any_width__are_numpys_and_do_not_depend_on_the_batch(count: int, rng: np.random.Generator) -> None:
    values, flags = rng.normal(0, 1, (200, count)) * 10 ** rng.uniform(-8, 8, (200, count)), rng.random((200, count))
    assert total(values) == pytest.approx(values.sum(-1), rel=1e-12, abs=1e-9)
    assert mean(values) == pytest.approx(values.mean(-1), rel=1e-12, abs=1e-9)
    assert np.array_equal(some(flags < 0.2), (flags < 0.2).any(-1))
    assert np.array_equal(every(flags < 0.8), (flags < 0.8).all(-1))
    for row in range(200):
        one = values[row : row + 1]
        assert total(one)[0] == total(values)[row]
        assert mean(one)[0] == mean(values)[row]
    assert np.array_equal(total(values[0]), total(values)[0])


def test_total__one_column__is_a_copy() -> None:
    values = np.ones((3, 1))
    total(values)[:] = 5
    assert values.tolist() == [[1.0]] * 3
