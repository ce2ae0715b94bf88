"""The control variate: what it takes off is expected to be zero, whatever the policy, and it is most of the noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.envs.engine import Engine, EnvConfig
from agent.envs.presets import defi_config, env_preset, rwa_config
from agent.errors import MarketDataError
from agent.market.path import MarketPath
from agent.market.rwa import RwaMarket
from agent.units import FloatArray
from agent.vault.portfolio import Costs

RNG = np.random.default_rng
CONFIGS = {"rwa": rwa_config, "defi": defi_config}
ROWS, PATHS = 96, 512


def with_control(config: EnvConfig, share: float = 1.0) -> EnvConfig:
    return replace(config, reward=replace(config.reward, control_variate=share))  # type: ignore[type-var]


def played(path: MarketPath, config: EnvConfig, sign: float) -> tuple[FloatArray, FloatArray]:
    """Return the reward and its control, per episode, of a policy that runs after prices, or away from them."""
    engine = Engine(path, config, path.batch, RNG(0))
    reward, control = np.zeros(path.batch), np.zeros(path.batch)
    last = np.zeros((path.batch, config.limits.count))
    for _ in range(config.episode_rows):
        moved = engine.step(0.3 + sign * np.sign(last))
        last = moved.result.state.weights - moved.decision.weights
        reward += moved.reward
        control += moved.parts.get("control", 0.0)
    return reward, control


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("sign", [0.2, -0.2])
def test_control__expected_zero__whatever_is_done(name: str, sign: float) -> None:
    config = with_control(CONFIGS[name](episode_rows=ROWS))
    path = env_preset(name).market().sample(RNG(5), PATHS, ROWS + 1)
    _, control = played(path, config, sign)
    error = control.std() / np.sqrt(PATHS)
    assert error > 0
    assert abs(control.mean()) < 3.5 * error


def test_control__leaves_a_tenth_of_the_noise_of_holding_liquidity() -> None:
    path = env_preset("defi").market().sample(RNG(5), PATHS, ROWS + 1)
    config = defi_config(episode_rows=ROWS, costs=Costs())  # what entering costs is no noise
    reward, control = played(path, with_control(config), 0.0)
    assert reward.std() < 0.1 * (reward - control).std()


@pytest.mark.parametrize("name", CONFIGS)
def test_control__changes_nothing_but_its_own_part(name: str) -> None:
    path = env_preset(name).market().sample(RNG(6), 8, ROWS + 1)
    plain = CONFIGS[name](episode_rows=ROWS)
    true, none = played(path, plain, 0.2)
    reward, control = played(path, with_control(plain), 0.2)
    half, _ = played(path, with_control(plain, 0.5), 0.2)
    assert (none == 0).all()
    assert reward - control == pytest.approx(true, abs=1e-9)
    assert half - 0.5 * control == pytest.approx(true, abs=1e-9)


@pytest.mark.parametrize("name", CONFIGS)
def test_surprises__not_foretold_by_what_is_seen(name: str) -> None:
    path = env_preset(name).market().sample(RNG(7), 256, 200)
    assert path.surprises is not None
    assert path.features is not None
    column = path.surprises.std((0, 1)) > 0
    assert column.tolist() == {"rwa": [False, True, True], "defi": [True] * 5}[name]
    after = path.surprises[:, 1:, column].reshape(-1, column.sum())
    seen = np.concatenate([path.features, path.rates], axis=-1)[:, :-1].reshape(len(after), -1)
    varied = seen[:, seen.std(0) > 0]
    scores = (varied - varied.mean(0)) / varied.std(0)
    signs = np.abs(scores.T @ (after / after.std(0))) / np.sqrt(len(after))
    assert signs.max() < 4.5  # of some thirty correlations, in standard errors


def test_surprises__of_a_path_that_is_cut__stay_with_their_rows() -> None:
    path = RwaMarket().sample(RNG(8), 3, 20)
    assert path.surprises is not None
    part = path.part(5, 15).take(np.array([2, 0]))
    assert part.surprises is not None
    assert np.array_equal(part.surprises, path.surprises[[2, 0], 5:15])
    row = path.row(4).surprises
    assert row is not None
    assert np.array_equal(row, path.surprises[:, 5])


def test_surprises__not_finite__refused() -> None:
    path = RwaMarket().sample(RNG(8), 1, 5)
    with pytest.raises(MarketDataError, match="surprises"):
        replace(path, surprises=np.full(path.rates.shape, np.nan))


def test_history_that_does_not_say__nothing_taken_off() -> None:
    path = replace(RwaMarket().sample(RNG(9), 2, 9), surprises=None)
    moved = Engine(path, with_control(rwa_config(episode_rows=8)), 2, RNG(0)).step(np.zeros((2, 3)))
    assert "control" not in moved.parts
