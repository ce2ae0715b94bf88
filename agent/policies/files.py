"""Policy files: writing them, and reading them back with every doubt refused.

A policy file is a pair: `NAME.npz` with the layers and `NAME.json`, the manifest. The manifest holds the SHA-256 of
the `.npz`, and its own digest (over its canonical JSON, the digest entry left out) is the `policyHash` committed on
chain: one changed bit anywhere and the file is refused. No torch is needed here.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from agent.digest import canonical_json, digest_of, sha256_hex
from agent.errors import (
    ObservationError,
    PolicyDigestError,
    PolicyFileError,
    PolicyShapeError,
    PolicyVersionError,
)
from agent.observation.observe import CHAIN, VERSIONS, vector_size
from agent.policies.network import Layers, Lstm, NumpyPolicy
from agent.vault.limits import MAX_STRATEGIES

FORMAT = "bulkhead-policy-1"


def save_policy(
    path: Path | str,
    layers: Layers,
    manifest: dict[str, Any],
    version: str = CHAIN,
    lstm: Lstm | None = None,
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
        version, layer shapes and digests are added. With an LSTM also `step_seconds`, the time between two
        observations that it was trained with.
    version
        Observation version it was trained with.
    lstm
        What comes before the layers, if anything.
    """
    target = Path(path).with_suffix(".npz")
    buffer = io.BytesIO()
    arrays = {}
    for index, (matrix, bias) in enumerate(layers):
        arrays[f"matrix_{index}"] = np.asarray(matrix, dtype=np.float64)
        arrays[f"bias_{index}"] = np.asarray(bias, dtype=np.float64)
    if lstm is not None:
        arrays |= {f"lstm_{key}": np.asarray(array, dtype=np.float64) for key, array in vars(lstm).items()}
    np.savez(buffer, **arrays)
    content: dict[str, Any] = {
        **manifest,
        "format": FORMAT,
        "observation": version,
        "layers": [list(np.shape(matrix)) for matrix, _ in layers],
        **({} if lstm is None else {"lstm": list(np.shape(lstm.inputs))}),
    }
    _read_network(buffer.getvalue(), target, content)  # what would be refused on loading is never written
    write_pair(target, buffer.getvalue(), content)
    return load_policy_file(target)


def load_policy_file(path: Path | str) -> NumpyPolicy:
    """Read a trained policy and refuse anything that is not exactly what its manifest says.

    Raises
    ------
    PolicyError
        A subclass says what is wrong.
    """
    raw, manifest = read_pair(path, FORMAT, ("layers",))
    layers, lstm = _read_network(raw, Path(path).with_suffix(".npz"), manifest)
    name, digest, version = (str(manifest[key]) for key in ("name", "digest", "observation"))
    return NumpyPolicy(name, digest, layers, manifest, version, lstm)


def write_pair(target: Path, raw: bytes, content: dict[str, Any]) -> None:
    """Write parameters to `target` and the manifest beside it, digests added; each whole or not at all."""
    content = {**content, "parameters_sha256": sha256_hex(raw)}
    content.pop("digest", None)
    content = json.loads(canonical_json(content))  # tuples become lists now, not on loading
    content["digest"] = digest_of(content)
    target.parent.mkdir(parents=True, exist_ok=True)
    manifest_text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    for path, data in ((target, raw), (target.with_suffix(".json"), manifest_text.encode())):
        draft = path.with_name(path.name + ".part")
        draft.write_bytes(data)
        draft.replace(path)  # a new one beside an old other is refused by the digest


@contextmanager
def stored_arrays(raw: bytes, path: Path | str, what: str) -> Iterator[Any]:
    """Give the arrays of a policy's parameters by their names, for as long as the block lasts.

    Raises
    ------
    PolicyFileError
        If the bytes hold no arrays, or the block asks for one that is not `what` a file of this format holds.
    """
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise PolicyFileError(f"{path} does not hold {what} ({error})") from error


def read_pair(path: Path | str, form: str, entries: Sequence[str] = ()) -> tuple[bytes, dict[str, Any]]:
    """Return parameters and manifest of the policy at `path`, which must be of this format and fit each other.

    `entries` are what the manifest needs in this format, besides those of every policy.

    Raises
    ------
    PolicyError
        A subclass says what is wrong.
    """
    parameters, manifest_path = Path(path).with_suffix(".npz"), Path(path).with_suffix(".json")
    manifest = _read_manifest(manifest_path, form, entries)
    try:
        raw = parameters.read_bytes()
    except OSError as error:
        raise PolicyFileError(f"cannot read the policy's parameters: {error}") from error
    if sha256_hex(raw) != manifest["parameters_sha256"]:
        raise PolicyDigestError(
            f"{parameters} is truncated or not the file that {manifest_path.name} describes: export the policy again"
        )
    return raw, manifest


def format_of(path: Path | str) -> str:
    """Return the format that a policy's manifest claims; nothing where it cannot be read, which loading will tell."""
    try:
        return str(json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))["format"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _read_manifest(path: Path, form: str, entries: Sequence[str]) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyFileError(f"cannot read the policy's manifest: {error}") from error
    except ValueError as error:
        raise PolicyFileError(f"{path} is not JSON ({error}): export the policy again") from error
    needed = ("format", "observation", "name", "strategies", "parameters_sha256", "digest", *entries)
    claimed = manifest.get("format", form) if isinstance(manifest, dict) else form
    if claimed != form:
        raise PolicyFileError(f"{path} has the format {claimed!r}, not {form!r}: give a file of that format")
    missing = [key for key in needed if not isinstance(manifest, dict) or key not in manifest]
    if missing:
        raise PolicyFileError(f"{path} is no policy manifest: {', '.join(missing)} missing")
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


def _read_network(raw: bytes, path: Path, manifest: dict[str, Any]) -> tuple[Layers, Lstm | None]:
    """Return layers and LSTM, checked against each other and the manifest."""
    with stored_arrays(raw, path, "the layers of its manifest") as arrays:
        layers = tuple(
            (np.asarray(arrays[f"matrix_{index}"]), np.asarray(arrays[f"bias_{index}"]))
            for index in range(len(manifest["layers"]))
        )
        parts = (
            [np.asarray(arrays[f"lstm_{key}"]) for key in ("inputs", "hidden", "bias")] if "lstm" in manifest else []
        )
    for array in (*parts, *(array for layer in layers for array in layer)):
        if array.dtype != np.float64:
            raise PolicyShapeError(f"{path} holds an array that is not float64")
        if not np.isfinite(array).all():
            raise PolicyFileError(f"{path} holds NaN or infinity, so training diverged: train anew")
    if not layers or len(manifest["strategies"]) not in range(1, MAX_STRATEGIES + 1):
        raise PolicyShapeError(f"{path} has no layers, or not 1 to {MAX_STRATEGIES} strategies")
    try:
        width = vector_size(len(manifest["strategies"]), manifest["observation"])
    except ObservationError as error:
        raise PolicyShapeError(f"{path}: {error}") from error
    lstm = Lstm(*parts) if parts else None
    if lstm is not None:
        shapes = [part.shape for part in parts]
        units = shapes[1][0] if lstm.hidden.ndim == 2 else 0
        if shapes != [(width, 4 * units), (units, 4 * units), (4 * units,)] or units == 0:
            raise PolicyShapeError(f"{path}: an LSTM of shapes {shapes} does not take {width} inputs")
        if not isinstance(manifest.get("step_seconds"), int | float) or manifest["step_seconds"] <= 0:
            raise PolicyFileError(f"{path}: the manifest of a policy with memory needs step_seconds: export it again")
        width = units
    for index, (matrix, bias) in enumerate(layers):
        if matrix.ndim != 2 or bias.shape != matrix.shape[1:] or matrix.shape[0] != width:
            raise PolicyShapeError(f"{path}: layer {index} of shape {matrix.shape} does not take {width} inputs")
        width = matrix.shape[1]
    if width != len(manifest["strategies"]):
        raise PolicyShapeError(f"{path}: {width} outputs for {len(manifest['strategies'])} strategies")
    return layers, lstm
