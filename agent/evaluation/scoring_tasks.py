"""The scoring of a walk-forward as tasks: one per seed, one per scenario for the rules, one per stress case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.backtest import Backtest
from agent.evaluation.scoring import Leg, score, scored_rules
from agent.evaluation.stress import cases, run_case
from agent.evaluation.study import Fold, Scenario, Study
from agent.market.history import RateHistory
from agent.policies.files import load_policy_file
from agent.policies.load import Policy
from agent.policies.rules import BASELINES
from agent.vault.limits import Limits


@dataclass(frozen=True)
class StudyInputs:
    """What a study is carried out on."""

    study: Study
    history: RateHistory
    limits: Limits

    @property
    def folds(self) -> list[Fold]:
        """The study's folds of the history."""
        return self.study.cut(self.history)

    @property
    def warm_up(self) -> int:
        """Rows of `tested` before the first that is tested."""
        return min(self.study.warm_up, self.folds[0].test_start)

    @property
    def tested(self) -> RateHistory:
        """Rows of all test windows, after those of the warm-up."""
        folds = self.folds
        return self.history.part(folds[0].test_start - self.warm_up, folds[-1].test_end + 1)

    def legs(self, policies: Sequence[Policy]) -> list[Leg]:
        """Return one policy per fold as legs."""
        return [Leg(policy, fold.test_end - fold.test_start) for policy, fold in zip(policies, self.folds, strict=True)]

    def loaded(self, files: Sequence[Path]) -> list[Leg]:
        """Return one policy file per fold as legs."""
        return self.legs([load_policy_file(file) for file in files])


@dataclass(frozen=True)
class SeedTask:
    """Score one seed's policies, a file per fold, under all scenarios."""

    ground: StudyInputs
    seed: int
    files: tuple[Path, ...]


@dataclass(frozen=True)
class RulesTask:
    """Fit the baselines to every fold's training part, and score them and the ceiling under one scenario."""

    ground: StudyInputs
    scenario: Scenario


@dataclass(frozen=True)
class StressTask:
    """Run all seeds' policies and the rules without parameters through one stress case, under the first scenario."""

    ground: StudyInputs
    files: tuple[tuple[Path, ...], ...]
    case: int


def score_seed(task: SeedTask) -> list[Backtest]:
    """Return what one seed did, once per scenario."""
    ground = task.ground
    legs, path = ground.loaded(task.files), ground.tested.path()
    return [
        score(f"seed {task.seed}", legs, path, scenario.setting(ground.limits), warm_up=ground.warm_up)
        for scenario in ground.study.scenarios
    ]


def score_rules(task: RulesTask) -> list[Backtest]:
    """Return what every baseline did under one scenario, and the ceiling, which comes last."""
    ground = task.ground
    return scored_rules(
        [ground.history.part(0, fold.train_end) for fold in ground.folds],
        [fold.test_end - fold.test_start for fold in ground.folds],
        ground.tested,
        task.scenario.setting(ground.limits),
        ground.warm_up,
    )


def stress_tasks(ground: StudyInputs, files: Sequence[tuple[Path, ...]]) -> list[StressTask]:
    """Return a task per stress case."""
    tested = ground.tested
    count = len(cases(tested.path(), tested.days, ground.warm_up))
    return [StressTask(ground, tuple(files), case) for case in range(count)]


def score_stress(task: StressTask) -> dict[str, Any]:
    """Return what one stress case did to everybody."""
    ground, tested = task.ground, task.ground.tested
    path, setting = tested.path(), ground.study.scenarios[0].setting(ground.limits)
    case = cases(path, tested.days, ground.warm_up)[task.case]
    players = {f"seed {seed}": ground.loaded(files) for seed, files in enumerate(task.files, start=1)}
    players |= {name: ground.legs([make()] * len(ground.folds)) for name, make in BASELINES.items()}
    return {
        "case": case.name,
        "kind": case.kind,
        "days": [tested.days[case.first].isoformat(), tested.days[case.last].isoformat()],
        "outcomes": run_case(case, players, path, setting, ground.warm_up),
    }
