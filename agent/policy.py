"""What decides: the policy interface, the exported network that numpy alone can run, and the loader.

A policy file is a pair: `NAME.npz` with the layers and `NAME.json`, the manifest. The manifest holds the SHA-256 of
the `.npz`, and its own digest (over its canonical JSON, the digest entry left out) is the `policyHash` committed on
chain: one changed bit anywhere and the file is refused. No torch is needed here.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from agent.actions import to_weights
from agent.digest import canonical_json, digest_of, sha256_hex
from agent.errors import (
    ObservationError,
    PolicyDigestError,
    PolicyFileError,
    PolicyShapeError,
    PolicyVersionError,
    UnknownPolicyError,
)
from agent.evaluation.baselines import BASELINES
from agent.limits import MAX_STRATEGIES
from agent.observation import CHAIN, Observation, vector_size
from agent.observation.versions import VERSIONS
from agent.units import FloatArray

FORMAT = "bulkhead-policy-1"


class Policy(Protocol):
    """Anything that looks at an observation and says what it wants."""

    @property
    def name(self) -> str:
        """Short name, for logs and tables."""

    @property
    def digest(self) -> str:
        """`0x` and 64 hex digits that stand for exactly this behaviour; the `policyHash` on chain."""

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`: any numbers; `agent.decision` makes them admissible."""


@dataclass(frozen=True)
class NumpyPolicy:
    """A trained network: affine layers with ReLU between them, float64.

    Attributes
    ----------
    name
        Name from the manifest.
    digest
        Digest of the manifest.
    layers
        Pairs of a matrix `(inputs, outputs)` and a bias `(outputs,)`.
    manifest
        What the file says about itself: strategies, limits, seeds, training data, evaluation.
    version
        Observation version it was trained with.
    """

    name: str
    digest: str
    layers: tuple[tuple[FloatArray, FloatArray], ...]
    manifest: dict[str, Any]
    version: str = CHAIN

    @property
    def count(self) -> int:
        """Number of strategies it was trained for."""
        return int(self.layers[-1][1].size)

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`.

        Raises
        ------
        PolicyShapeError
            If the observation is of another number of strategies.
        PolicyVersionError
            If it is of another version.
        """
        if observation.version != self.version:
            raise PolicyVersionError(
                f"policy {self.name} is for observation {self.version!r}, but is shown {observation.version!r}: "
                "choose a policy of that version"
            )
        if observation.count != self.count:
            raise PolicyShapeError(
                f"policy {self.name} is for {self.count} strategies but the vault has {observation.count}: train anew"
            )
        return to_weights(self.version, forward(self.layers, observation.vector()))


def forward(layers: Sequence[tuple[FloatArray, FloatArray]], inputs: FloatArray) -> FloatArray:
    """Return the network's outputs `(B, n)` for inputs `(B, m)`."""
    hidden = inputs
    for matrix, bias in layers[:-1]:
        hidden = np.maximum(hidden @ matrix + bias, 0.0)
    matrix, bias = layers[-1]
    return np.asarray(hidden @ matrix + bias)


def save_policy(
    path: Path | str,
    layers: Sequence[tuple[FloatArray, FloatArray]],
    manifest: dict[str, Any],
    version: str = CHAIN,
) -> NumpyPolicy:
    """Write `path` (`.npz`) and its manifest (`.json` beside it) and return the policy as it will be loaded.

    Parameters
    ----------
    path
        Where the parameters go.
    layers
        Pairs of matrix and bias; checked as on loading.
    manifest
        Plain data that says where the policy comes from: `name` and `strategies` at least. Format, observation
        version, layer shapes and digests are added.
    version
        Observation version it was trained with.
    """
    target = Path(path).with_suffix(".npz")
    buffer = io.BytesIO()
    arrays = {}
    for index, (matrix, bias) in enumerate(layers):
        arrays[f"matrix_{index}"] = np.asarray(matrix, dtype=np.float64)
        arrays[f"bias_{index}"] = np.asarray(bias, dtype=np.float64)
    np.savez(buffer, **arrays)
    content: dict[str, Any] = {
        **manifest,
        "format": FORMAT,
        "observation": version,
        "layers": [list(np.shape(matrix)) for matrix, _ in layers],
        "parameters_sha256": sha256_hex(buffer.getvalue()),
    }
    content = json.loads(canonical_json(content))  # tuples become lists now, not on loading
    content["digest"] = digest_of(content)
    _read_layers(buffer.getvalue(), target, content)  # what would be refused on loading is never written
    target.parent.mkdir(parents=True, exist_ok=True)
    manifest_text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    for path, data in ((target, buffer.getvalue()), (target.with_suffix(".json"), manifest_text.encode())):
        draft = path.with_name(path.name + ".part")
        draft.write_bytes(data)
        draft.replace(path)  # whole or not at all; a new one beside an old other is refused by the digest
    return load_policy_file(target)


def load_policy(
    path_or_name: Path | str,
    strategies: int | None = None,
    digest: str | None = None,
    version: str | None = None,
) -> Policy:
    """Return a baseline by name or a trained policy from its file.

    Parameters
    ----------
    path_or_name
        `equal-weight`, `hold`, `greedy`, `greedy-band`, or the path of a policy's `.npz` or `.json`.
    strategies
        Number of strategies it must be for, if known.
    digest
        Digest it must have (the one committed on chain), if known.
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
        policy = BASELINES[text]()
    elif Path(text).suffix in (".npz", ".json"):
        loaded = load_policy_file(text)
        if strategies is not None and loaded.count != strategies:
            raise PolicyShapeError(
                f"policy {text} is for {loaded.count} strategies but the vault has {strategies}: train anew"
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


def load_policy_file(path: Path | str) -> NumpyPolicy:
    """Read a trained policy and refuse anything that is not exactly what its manifest says.

    Raises
    ------
    PolicyError
        See `load_policy`.
    """
    parameters, manifest_path = Path(path).with_suffix(".npz"), Path(path).with_suffix(".json")
    manifest = _read_manifest(manifest_path)
    try:
        raw = parameters.read_bytes()
    except OSError as error:
        raise PolicyFileError(f"cannot read the policy's parameters: {error}") from error
    if sha256_hex(raw) != manifest["parameters_sha256"]:
        raise PolicyDigestError(
            f"{parameters} is truncated or not the file that {manifest_path.name} describes: export the policy again"
        )
    layers = _read_layers(raw, parameters, manifest)
    return NumpyPolicy(str(manifest["name"]), str(manifest["digest"]), layers, manifest, str(manifest["observation"]))


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyFileError(f"cannot read the policy's manifest: {error}") from error
    except ValueError as error:
        raise PolicyFileError(f"{path} is not JSON ({error}): export the policy again") from error
    needed = ("format", "observation", "name", "strategies", "layers", "parameters_sha256", "digest")
    missing = [key for key in needed if not isinstance(manifest, dict) or key not in manifest]
    if missing:
        raise PolicyFileError(f"{path} is no policy manifest: {', '.join(missing)} missing")
    if manifest["format"] != FORMAT:
        raise PolicyFileError(f"{path} has the format {manifest['format']!r}; this version reads {FORMAT!r}")
    content = {key: value for key, value in manifest.items() if key != "digest"}
    try:
        expected = digest_of(content)
    except ValueError as error:
        raise PolicyFileError(f"{path} holds numbers that no manifest has ({error})") from error
    if manifest["digest"] != expected:
        raise PolicyDigestError(f"{path} was changed after it was written: its digest is {expected}")
    if manifest["observation"] not in VERSIONS:
        known = ", ".join(VERSIONS)
        raise PolicyVersionError(
            f"{path} is for observation {manifest['observation']!r} but this version observes {known}: train anew"
        )
    return manifest


def _read_layers(raw: bytes, path: Path, manifest: dict[str, Any]) -> tuple[tuple[FloatArray, FloatArray], ...]:
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            layers = tuple(
                (np.asarray(arrays[f"matrix_{index}"]), np.asarray(arrays[f"bias_{index}"]))
                for index in range(len(manifest["layers"]))
            )
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise PolicyFileError(f"{path} does not hold the layers of its manifest ({error})") from error
    if not layers or len(manifest["strategies"]) not in range(1, MAX_STRATEGIES + 1):
        raise PolicyShapeError(f"{path} has no layers, or not 1 to {MAX_STRATEGIES} strategies")
    try:
        width = vector_size(len(manifest["strategies"]), manifest["observation"])
    except ObservationError as error:
        raise PolicyShapeError(f"{path}: {error}") from error
    for index, (matrix, bias) in enumerate(layers):
        if matrix.ndim != 2 or bias.shape != matrix.shape[1:] or matrix.shape[0] != width:
            raise PolicyShapeError(f"{path}: layer {index} of shape {matrix.shape} does not take {width} inputs")
        if matrix.dtype != np.float64 or bias.dtype != np.float64:
            raise PolicyShapeError(f"{path}: layer {index} is not float64")
        if not (np.isfinite(matrix).all() and np.isfinite(bias).all()):
            raise PolicyFileError(f"{path}: layer {index} holds NaN or infinity, so training diverged: train anew")
        width = matrix.shape[1]
    if width != len(manifest["strategies"]):
        raise PolicyShapeError(f"{path}: {width} outputs for {len(manifest['strategies'])} strategies")
    return layers
