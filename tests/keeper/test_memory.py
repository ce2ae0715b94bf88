"""A policy with memory, live: a restarted keeper continues with its memory."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agent.observation.memory import RateMemory
from agent.observation.observe import vector_size
from agent.policies.files import save_policy
from agent.policies.memory import Recall
from agent.policies.network import Lstm
from tests.keeper.harness import World

pytestmark = pytest.mark.chain


def test_restarted_keeper__goes_on_with_the_same_memory(world: World) -> None:
    rng, units = np.random.default_rng(4), 6
    names = [strategy.address for strategy in world.strategies]
    lstm = Lstm(
        rng.normal(0, 0.5, (vector_size(len(names)), 4 * units)),
        rng.normal(0, 0.5, (units, 4 * units)),
        rng.normal(0, 1, 4 * units),
    )
    layers = [(rng.normal(0, 0.5, (units, len(names))), np.zeros(len(names)))]
    manifest = {"name": "remembers", "strategies": names, "step_seconds": 86_400.0}
    policy = save_policy(world.folder / "policy.npz", layers, manifest, lstm=lstm)
    world.commit(policy.digest)
    options = {"policy": str(world.folder / "policy.npz"), "max_block_age_seconds": 1e9}

    def wake() -> Recall:
        """Restart the keeper and wake it once; return what it remembers then."""
        keeper = world.keeper(**options)
        keeper.cycle()
        stored = keeper.journal.memory(world.snapshot().strategies_digest)
        assert stored is not None
        RateMemory.from_json(json.loads(stored))  # beside it, as ever
        return Recall.from_json(json.loads(stored)["policy"])

    first = wake()
    assert np.abs(first.after).max() > 0.01
    assert not first.before.any()
    again = wake()  # restarted within the day: the same step of the same memory
    assert again.started == first.started
    assert np.array_equal(again.before, first.before)
    world.rpc("evm_increaseTime", 86_400)
    world.rpc("evm_mine")
    later = wake()  # restarted a day later: goes on from where the first day ended
    assert later.started >= first.started + 86_400
    assert np.array_equal(later.before, again.after)
    assert not np.array_equal(later.after, again.after)
