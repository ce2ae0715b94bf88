"""The policy files that stand before the gate, and the new file that carries its verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent.errors import PolicyError
from agent.evaluation.promotion.verdict import Verdict
from agent.integer_policy import IntegerPolicy, save_integer
from agent.policy import NumpyPolicy, load_policy, save_policy

Trained = NumpyPolicy | IntegerPolicy
"""What the gate judges: networks, in floats or in integers. A rule serves without it."""


def load_trained(source: Path | str) -> Trained:
    """Read a policy that can be judged.

    Raises
    ------
    PolicyError
        If it cannot be loaded, or is a rule.
    """
    policy = load_policy(source)
    if not isinstance(policy, Trained):
        raise PolicyError(f"{source} is a rule, and rules serve without the gate: give a file of `agent train`")
    return policy


def trained_until(policy: Trained) -> str | None:
    """Return the last day that a policy was trained on, as far as its manifest says."""
    market = policy.manifest.get("training", {}).get("market", {})
    day = market.get("last_day") or market.get("fitted_to", {}).get("last_day")
    return None if day is None else str(day)


def write_verdict(source: Path | str, verdict: Verdict, out: Path | str) -> Trained:
    """Write a policy anew with the verdict in its manifest, and so with a digest of its own; the old file stays.

    Parameters
    ----------
    source
        The policy that was judged.
    verdict
        The gate's.
    out
        Where the new file goes, `.npz`.
    """
    policy = load_trained(source)
    made = ("format", "observation", "layers", "lstm", "parameters_sha256", "digest")
    manifest = {key: value for key, value in policy.manifest.items() if key not in made}
    manifest["promotion"] = {**verdict.to_json(), "judged": policy.digest}
    if isinstance(policy, IntegerPolicy):
        return save_integer(out, replace(policy, manifest=manifest))
    return save_policy(out, policy.layers, manifest, policy.version, policy.lstm)
