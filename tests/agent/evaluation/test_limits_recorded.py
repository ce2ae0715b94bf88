"""Every limit counts: in what a training or a walk-forward is, in its results, and in what may be promoted by them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.errors import ResultsError
from agent.evaluation.folder import describe, judged_limits, load_about
from agent.evaluation.recipe import Finished, run_of_seed, runs_of_tuning
from agent.evaluation.scoring import StudyInputs
from agent.evaluation.serving import judged_part
from agent.evaluation.study import Scenario, Study
from agent.market.history import RateHistory
from agent.market.lending import shipped_market
from agent.observation.observe import vector_size
from agent.policies.files import save_policy
from agent.training.preset import load_preset
from agent.training.train import run_key
from agent.vault.limits import Limits
from tests.agent.made_up import history_of
from tests.agent.vault.changed import LIMITS, changed

STUDY = Study("made up", 200, 2, seeds=1, configurations=({}, {"ppo": {"gamma": 0.9}}), scenarios=(Scenario(1.0, 1e7),))


@pytest.fixture(scope="module")
def history() -> RateHistory:
    return history_of(np.random.default_rng(5).uniform(0.02, 0.05, (280, 3)))


def _about(history: RateHistory, limits: Limits, folder: Path) -> dict[str, object]:
    """Leave the description of a walk-forward under these limits in a folder, and read it."""
    layers = [(np.zeros((vector_size(3), 3)), np.zeros(3))]
    save_policy(folder / "policy.npz", layers, {"name": "x", "strategies": list(history.names)})
    done = Finished(folder / "policy.npz", facts={"steps": 1})
    ground = StudyInputs(STUDY, history, limits)
    describe(folder, ground, [0, 0], [done, done], [(done.policy, done.policy)])
    return load_about(folder)


def _keys(history: RateHistory, limits: Limits, folder: Path) -> list[str]:
    """Keys of a training to resume, of a walk-forward's training, and of its tuning."""
    tuning = runs_of_tuning(STUDY, history, limits, folder, 0)
    trainings = [run_of_seed(STUDY, history, limits, folder, 0, 1, 0), *(run for runs in tuning for run in runs)]
    return [run_key(load_preset("walk-forward"), limits, shipped_market()), *(run.key for run in trainings)]


@pytest.mark.parametrize("what", changed())
def test_limit__changed__changes_every_key_and_fails_every_check(
    what: str, history: RateHistory, tmp_path: Path
) -> None:
    other = changed()[what]
    for before, now in zip(_keys(history, LIMITS, tmp_path), _keys(history, other, tmp_path), strict=True):
        assert before != now

    about = _about(history, LIMITS, tmp_path)
    assert judged_limits(about, LIMITS).digest == LIMITS.digest
    assert judged_part(about, history, LIMITS).end < history.end
    words = LIMITS.differences(other, history.names)[0].words
    with pytest.raises(ResultsError, match=f"under other limits .*{words}"):
        judged_limits(about, other)
    with pytest.raises(ResultsError, match=f"under other limits .*{words}"):
        judged_part(about, history, other)
    assert judged_limits(_about(history, other, tmp_path)).digest == other.digest


def test_keys__same_limits__the_same(history: RateHistory, tmp_path: Path) -> None:
    same = replace(LIMITS, cooldown=3600, relative_caps=LIMITS.relative_caps.copy())
    assert _keys(history, LIMITS, tmp_path) == _keys(history, same, tmp_path)


def test_judged_limits__results_that_record_some_only__refused(history: RateHistory, tmp_path: Path) -> None:
    about = _about(history, LIMITS, tmp_path)
    about["limits"] = {"relative_caps": [0.6, 0.5, 0.4], "idle_floor": 0.02}  # as before every limit was recorded
    with pytest.raises(ResultsError, match="run `agent walk-forward` again"):
        judged_limits(about)
    with pytest.raises(ResultsError, match="run `agent walk-forward` again"):
        judged_part(about, history, LIMITS)
    del about["limits"]
    with pytest.raises(ResultsError, match="run `agent walk-forward` again"):
        judged_limits(about)
    with pytest.raises(ResultsError, match="limits for 3 strategies, not 2"):
        judged_limits(_about(history, LIMITS, tmp_path), Limits.uniform(2))
