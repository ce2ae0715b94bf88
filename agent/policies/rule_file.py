"""Rule files: a rule with its fitted numbers as a policy file, loaded by keeper and command line as a network is.

A pair like any policy's: `NAME.npz` with the numbers, one float64 array per parameter, and `NAME.json`, the manifest,
with the rule's kind, its words and what it was fitted to. The manifest's digest is the `policyHash` of the file. The
digest of the rule itself, words included, is in it too: code that means something else by the rule refuses the file.

Every rule looks at the present observation alone, so a keeper has all that it needs; nothing is remembered for it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from agent.errors import ObservationError, PolicyError, PolicyFileError, PolicyShapeError, PolicyVersionError
from agent.observation.observe import CHAIN, Observation, vector_size
from agent.policies.files import read_pair, stored_arrays, write_pair
from agent.policies.forecast import Forecast
from agent.policies.network import check_shown
from agent.policies.rules import BestTrailing, FixedMix, HoldBestTrailing, Rule, SingleAsset, TunedBand
from agent.units import FloatArray
from agent.vault.limits import MAX_STRATEGIES

FORMAT = "bulkhead-rule-1"

KINDS: Mapping[str, type[Rule]] = MappingProxyType(
    {
        "single": SingleAsset,
        "hold-best-trailing": HoldBestTrailing,
        "best-trailing": BestTrailing,
        "fixed-mix": FixedMix,
        "forecast": Forecast,
        "greedy-band-tuned": TunedBand,
    }
)
"""The rules that files can hold, by what their manifests call them; parameters are the fields of the class."""

_SHAPES: Mapping[Any, int] = MappingProxyType(
    {float: 0, int: 0, tuple[float, ...]: 1, tuple[tuple[float, ...], ...]: 2}
)
"""How many axes, of one entry per strategy, a parameter of some type has; all others are words."""


@dataclass(frozen=True)
class RulePolicy:
    """A rule from a file.

    Attributes
    ----------
    rule
        What decides.
    digest, manifest, version
        As of `agent.policies.network.NumpyPolicy`.
    """

    rule: Rule
    digest: str
    manifest: dict[str, Any]
    version: str

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.rule.name

    @property
    def count(self) -> int:
        """Number of strategies it is for."""
        return len(self.manifest["strategies"])

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`.

        Raises
        ------
        PolicyVersionError, PolicyShapeError
            If the observation is of another version or number of strategies.
        """
        check_shown(self.name, self.version, self.count, observation)
        return self.rule.act(observation)


def save_rule(
    path: Path | str, rule: Rule, strategies: Sequence[str], about: Mapping[str, Any], version: str = CHAIN
) -> RulePolicy:
    """Write a rule to `path` (`.npz`) and its manifest (`.json` beside it); return the policy as it will be loaded.

    Parameters
    ----------
    path
        Where the numbers go.
    rule
        One of `KINDS`.
    strategies
        Names of the strategies that it was fitted for, in their order.
    about
        Plain data for the manifest: what it was fitted to.
    version
        Observation version that it is to be shown.

    Raises
    ------
    PolicyError
        If a file cannot hold such a rule, or it would be refused on loading.
    """
    kind = next((key for key, made in KINDS.items() if type(rule) is made), None)
    if kind is None:
        raise PolicyError(f"no file holds the rule {rule.name}: it has no fitted numbers, or cannot serve at all")
    target = Path(path).with_suffix(".npz")
    values = {field.name: getattr(rule, field.name) for field in fields(rule)}  # type: ignore[arg-type]
    buffer = io.BytesIO()
    np.savez(
        buffer, **{key: np.array(value, np.float64) for key, value in values.items() if not isinstance(value, str)}
    )
    content = {
        **about,
        "name": rule.name,
        "strategies": list(strategies),
        "format": FORMAT,
        "observation": version,
        "kind": kind,
        "words": {key: value for key, value in values.items() if isinstance(value, str)},
        "rule": rule.rule,
        "rule_digest": rule.digest,
    }
    _read_rule(buffer.getvalue(), target, content)  # what would be refused on loading is never written
    write_pair(target, buffer.getvalue(), content)
    return load_rule(target)


def load_rule(path: Path | str) -> RulePolicy:
    """Read a rule and refuse anything that is not exactly what its manifest says.

    Raises
    ------
    PolicyError
        A subclass says what is wrong.
    """
    raw, manifest = read_pair(path, FORMAT, ("kind", "words", "rule_digest"))
    rule = _read_rule(raw, Path(path).with_suffix(".npz"), manifest)
    return RulePolicy(rule, str(manifest["digest"]), manifest, str(manifest["observation"]))


def _read_rule(raw: bytes, path: Path, manifest: Mapping[str, Any]) -> Rule:
    """Return the rule, its parameters checked against its class and the manifest."""
    strategies, words, kind = manifest["strategies"], manifest["words"], manifest["kind"]
    if not isinstance(strategies, list) or not isinstance(words, dict) or kind not in KINDS:
        raise PolicyFileError(f"{path} holds no rule that this version knows: write it anew with `agent export`")
    if len(strategies) not in range(1, MAX_STRATEGIES + 1):
        raise PolicyShapeError(f"{path} is not for 1 to {MAX_STRATEGIES} strategies")
    try:
        vector_size(len(strategies), manifest["observation"])
    except ObservationError as error:
        raise PolicyShapeError(f"{path}: {error}") from error
    with stored_arrays(raw, path, "the numbers of a rule") as stored:
        arrays = {key: np.asarray(stored[key]) for key in stored.files}
    made = KINDS[kind]
    types = {field.name: get_type_hints(made)[field.name] for field in fields(made)}  # type: ignore[arg-type]
    if set(types) != {*arrays, *words} or len(types) != len(arrays) + len(words):
        raise PolicyFileError(f"{path} does not hold the parameters of a rule of the kind {kind!r}")
    rule = made(
        **{key: _number(path, key, array, types[key], len(strategies)) for key, array in arrays.items()},
        **{key: _word(path, key, word, types[key]) for key, word in words.items()},
    )
    if rule.digest != manifest["rule_digest"]:
        raise PolicyVersionError(
            f"{path} was written by a version that means something else by {rule.name}: write it anew with "
            "`agent export`"
        )
    return rule


def _number(path: Path, key: str, array: FloatArray, kind: Any, count: int) -> Any:
    """Return a parameter as a number or as nested tuples of numbers, bit for bit."""
    if kind not in _SHAPES or array.dtype != np.float64 or array.shape != (count,) * _SHAPES[kind]:
        raise PolicyShapeError(f"{path}: {key} of shape {array.shape} is not the parameter of {count} strategies")
    if not np.isfinite(array).all():
        raise PolicyFileError(f"{path} holds NaN or infinity: fit the rule to a whole history")
    if kind is int:
        return int(array)
    return (
        tuple(map(tuple, array.tolist())) if array.ndim == 2 else tuple(array.tolist()) if array.ndim else float(array)
    )


def _word(path: Path, key: str, word: Any, kind: Any) -> str:
    allowed = get_args(kind) if get_origin(kind) is Literal else None
    if not isinstance(word, str) or (kind is not str if allowed is None else word not in allowed):
        raise PolicyFileError(f"{path}: {word!r} is not what {key} can be")
    return word
