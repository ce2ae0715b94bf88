"""The presets `rwa` and `defi`: they start from the mix they name; PPO gets far from a poor start in little time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from agent.envs.engine import Engine
from agent.envs.presets import rwa_config
from agent.envs.vec import VaultVecEnv
from agent.errors import PresetError
from agent.market.rwa import Choices, RwaMarket
from agent.observation.observe import RWA_FEATURES
from agent.training.imitate import Mix, imitate
from agent.training.learner import Learner, draft, make_learner
from agent.training.preset import Preset, WarmStartTable, load_preset
from agent.training.watch import episode_rewards

RNG = np.random.default_rng


def started(preset: Preset, paths: int = 256, envs: int | None = None) -> tuple[Learner, VaultVecEnv]:
    """Return a learner after its warm start, and what it learns in."""
    torch.set_num_threads(preset.ppo.torch_threads)
    config, table = preset.env_config(), preset.market
    market, batch = preset.env_preset.market(), envs or preset.ppo.envs
    env = VaultVecEnv(market, config, batch, RNG(11), bank_paths=paths, bank_rows=table.bank_rows)
    model = make_learner(preset, env, 1)
    assert preset.warm_start is not None
    imitate(model, env.engine, preset.warm_start)
    return model, env


@pytest.mark.parametrize("name", ["rwa", "defi"])
def test_mix__goes_to_the_weights_and_leaves_what_is_held(name: str) -> None:
    preset = load_preset(name)
    assert preset.warm_start is not None
    config, table = preset.env_config(), preset.warm_start
    bank = preset.env_preset.market().sample(RNG(3), 64, config.path_rows)
    seen = Engine(bank, config, 64, RNG(4)).observe()
    wanted = Mix(table.weights, config).act(seen)
    held = [index for index, weight in enumerate(table.weights) if weight == "hold"]
    assert (wanted[:, held] == seen.weights[:, held]).all()
    others = [index for index, weight in enumerate(table.weights) if weight != "hold"]
    named = np.array([float(table.weights[index]) for index in others])
    share = np.minimum(1.0, (1.0 - config.limits.idle_floor - wanted[:, held].sum(-1)) / named.sum())
    assert wanted[:, others] == pytest.approx(share[:, None] * named)
    assert (share < 1).any() == bool(held)


def test_mix__lost_peg__left_and_shared_by_the_others() -> None:
    config = rwa_config()
    bank = RwaMarket(Choices(depegs_per_year=(40.0, 0.0))).sample(RNG(3), 64, config.path_rows)
    assert bank.features is not None
    seen = Engine(bank, config, 64, RNG(4))
    for _ in range(200):
        seen.step(np.zeros((64, 3)))
    observation = seen.observe()
    assert observation.features is not None
    lost = observation.features[:, RWA_FEATURES.index("usdy_peg")] < 0.995
    assert lost.any()
    assert not lost.all()
    wanted = Mix([0.6, 0.1, 0.3], config, leave_lost_pegs=True).act(observation)
    assert wanted[lost] == pytest.approx(np.tile([0.0, 0.25, 0.75], (lost.sum(), 1)))
    assert wanted[~lost] == pytest.approx(np.tile([0.6, 0.1, 0.3], ((~lost).sum(), 1)))
    assert (Mix([0.6, 0.1, 0.3], config).act(observation) == [0.6, 0.1, 0.3]).all()


@pytest.mark.parametrize(("rule", "weights"), [("mix", []), ("greedy", [0.5, 0.5]), ("mix", [1.5]), ("mix", ["keep"])])
def test_warm_start__weights_that_make_no_mix__refused(rule: str, weights: list[object]) -> None:
    with pytest.raises(ValidationError):
        WarmStartTable.model_validate({"rule": rule, "weights": weights})


def test_mix__not_one_weight_per_strategy__refused() -> None:
    with pytest.raises(PresetError, match="give one for each"):
        Mix([0.5, 0.5], rwa_config())


def test_bound_coef__with_memory__refused() -> None:
    data = load_preset("rwa").model_dump() | {"algorithm": "recurrent-ppo"}
    with pytest.raises(ValidationError, match="bound_coef"):
        Preset.model_validate(data)


@pytest.mark.slow
def test_rwa__some_seconds_from_a_poor_start__beats_it_and_the_equal_mix() -> None:
    data = load_preset("rwa").model_dump() | {"warm_start": {"rule": "hold"}}  # stays at 40/35/25
    data["ppo"]["learning_rate"] = 1e-3  # the preset's own is for small steps from a good start
    preset = Preset.model_validate(data)
    config = preset.env_config()
    model, env = started(preset)
    bank = preset.env_preset.market().sample(RNG(12), 128, config.path_rows)
    start = episode_rewards(draft(model, config.version), bank, config)
    engine, equal, going = Engine(bank, config, 128, RNG(0)), np.zeros(128), np.ones(128, dtype=np.bool_)
    for _ in range(config.episode_rows):
        moved = engine.step(np.zeros((128, 3)))
        equal += np.where(going, moved.reward, 0.0)
        going &= ~moved.terminated
    model.learn(16 * env.num_envs * preset.ppo.n_steps)
    learnt = episode_rewards(draft(model, config.version), bank, config)
    for other in (start, equal):
        better = learnt - other
        assert better.mean() > 2.0 * better.std() / np.sqrt(len(better))
        assert learnt.mean() > 0.75 * other.mean()  # rewards are below zero: a quarter of what is lost is won back
