"""What a training run needs to go on after it was killed: one file, written whole or not at all.

It holds no code: reading it runs none (`torch.load(weights_only=True)`). Episodes that were under way are begun anew;
weights, optimiser, random numbers, steps, time spent, the best network and the curve go on from where they were.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.errors import CheckpointError

FILE = "checkpoint.pt"


@dataclass
class Progress:
    """How far a run is, besides the learner itself.

    Attributes
    ----------
    elapsed
        Seconds spent so far.
    best_score, best
        Best mean reward on the evaluation markets, and the network that had it.
    stale
        Looks since then.
    curve
        See `agent.training.train.TrainingResult`.
    """

    elapsed: float = 0.0
    best_score: float = -np.inf
    best: dict[str, torch.Tensor] | None = None
    stale: int = 0
    curve: list[dict[str, float | None]] | None = None


def save_checkpoint(folder: Path, key: str, model: Any, rng: np.random.Generator, progress: Progress) -> None:
    """Write the state of a run.

    Parameters
    ----------
    folder
        Where to; made if it is not there.
    key
        Digest of what the run is (preset, limits, market): only the same one may go on from it.
    model, rng, progress
        Learner, the environment's random numbers, and the rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "key": key,
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "generator": model.generator.get_state(),
        "rng": json.dumps(rng.bit_generator.state),
        "steps": model.num_timesteps,
        "updates": model._n_updates,
        "progress": {**vars(progress), "best_score": float(progress.best_score)},
    }
    part = folder / (FILE + ".part")
    torch.save(content, part)
    part.replace(folder / FILE)


def load_checkpoint(folder: Path, key: str, model: Any, rng: np.random.Generator) -> Progress:
    """Put the state of a run back into a new learner and random number generator; return how far it was.

    Raises
    ------
    CheckpointError
        If there is none, it is damaged, or it is of another run.
    """
    path = folder / FILE
    try:
        content = torch.load(path, weights_only=True)
        if content["key"] != key:
            raise CheckpointError(
                f"{path} is of a run with another preset, other limits or another market: give those it began with"
            )
        model.policy.load_state_dict(content["policy"])
        model.policy.optimizer.load_state_dict(content["optimizer"])
        model.generator.set_state(content["generator"])
        rng.bit_generator.state = json.loads(content["rng"])
        model.num_timesteps, model._n_updates = int(content["steps"]), int(content["updates"])
        return Progress(**content["progress"])
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"cannot go on from {path} ({error}): start the training anew") from error
