"""How a search draws its trials: by seed and trial number, the preset itself first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.samplers import BaseSampler, TPESampler

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial


class NumberedSampler(BaseSampler):
    """A tree-structured Parzen estimator (Bergstra et al., 2011) that draws by seed and trial number.

    Workers that share a study would try the same points if each began with the same seed. Trial 0 gets the given point:
    one that is put into Optuna's queue can be taken by two workers at once.
    """

    def __init__(self, seed: int, first: dict[str, Any]) -> None:
        self._seed, self._first = seed, first
        self._inner = TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin a trial with a generator of its own."""
        state = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]
        self._inner = TPESampler(seed=int(state))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what is drawn together: nothing of the first trial."""
        return self._inner.infer_relative_search_space(study, trial) if trial.number else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw what is drawn together."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw what is drawn by itself; in the first trial, return the given point."""
        if trial.number == 0:
            return self._first[param_name]
        return self._inner.sample_independent(study, trial, param_name, param_distribution)
