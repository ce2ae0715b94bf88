"""The policy interface, with and without memory, and the one place to get a policy from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

import numpy as np

from agent.errors import PolicyDigestError, PolicyShapeError, PolicyVersionError, UnknownPolicyError
from agent.observation.observe import CHAIN, Observation
from agent.policies.files import load_any
from agent.policies.rules import BASELINES, Rule, as_committed
from agent.units import FloatArray


class Policy(Protocol):
    """Anything that turns an observation into wanted weights."""

    @property
    def name(self) -> str:
        """Short name, for logs and tables."""

    @property
    def digest(self) -> str:
        """`0x` and 64 hex digits that stand for exactly this behaviour; the `policyHash` on chain."""

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`: any numbers; `agent.vault.decision` makes them admissible."""


class RecurrentPolicy(Policy, Protocol):
    """A policy with a memory: its weights depend on earlier observations too."""

    @property
    def memory_size(self) -> int:
        """Count of numbers that it remembers of each vault; zero for none."""

    @property
    def step_seconds(self) -> float | None:
        """Time between two observations that it was trained with, if known: its memory moves on so often."""

    def act_with_memory(self, observation: Observation, memory: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return wanted weights `(B, n)` and the memory `(B, m)` after this observation; zeros begin an episode."""


def act(
    policy: Policy, observation: Observation, memory: FloatArray | None = None
) -> tuple[FloatArray, FloatArray | None]:
    """Ask any policy for its weights.

    Parameters
    ----------
    policy
        With or without memory.
    observation
        The present observation.
    memory
        Memory that the last call returned; none at the start.

    Returns
    -------
    tuple
        Wanted weights `(B, n)`, and the `memory` for the next call.
    """
    size = getattr(policy, "memory_size", 0)
    if size == 0:
        return policy.act(observation), None
    if memory is None:
        memory = np.zeros((len(observation), size))
    return cast(RecurrentPolicy, policy).act_with_memory(observation, memory)


def observation_of(policy: Policy) -> str:
    """Return the observation version that a policy is made for; a rule takes any, and gets what a chain shows."""
    return CHAIN if isinstance(policy, Rule) else str(getattr(policy, "version", CHAIN))


def load_policy(
    path_or_name: Path | str,
    strategies: int | None = None,
    digest: str | None = None,
    version: str | None = None,
) -> Policy:
    """Return a baseline by name, or a trained policy or a fitted rule from its file.

    Parameters
    ----------
    path_or_name
        `equal-weight`, `hold`, `greedy`, `greedy-band`, or the path of a policy's `.npz` or `.json`.
    strategies
        Number of strategies it must be for, if known.
    digest
        Digest it must have (the one committed on chain), if known. A baseline also answers to the digest that it had
        before rules had versions, and then bears it.
    version
        Observation version it must be for, if known; baselines are for all.

    Raises
    ------
    PolicyError
        A subclass says whether the name is unknown, the file is damaged or altered, or the policy was made for
        another observation or number of strategies. There is no fallback: nothing may trade on such a policy.
    """
    text = str(path_or_name)
    policy: Policy
    if text in BASELINES:
        rule = BASELINES[text]()
        policy = rule if digest is None else as_committed(rule, digest)
    elif Path(text).suffix in (".npz", ".json"):
        loaded = load_any(text)
        if strategies is not None and loaded.count != strategies:
            raise PolicyShapeError(
                f"policy {text} is for {loaded.count} strategies but the vault has {strategies}: choose one for as many"
            )
        if version is not None and loaded.version != version:
            raise PolicyVersionError(
                f"policy {text} is for observation {loaded.version!r} but {version!r} is observed: choose another one"
            )
        policy = loaded
    else:
        known = ", ".join(sorted(BASELINES))
        raise UnknownPolicyError(f"no policy {text!r}: give a policy file (.npz or .json), or one of {known}")
    if digest is not None and policy.digest.lower() != digest.lower():
        raise PolicyDigestError(
            f"policy {text} has the digest {policy.digest} but {digest} is committed: commit this one, or load that one"
        )
    return policy
