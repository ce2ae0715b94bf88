"""Policy files: writing and reading all three kinds, networks, integer networks and rules; any doubt refuses a file.

A policy file is a pair: `NAME.npz` with the numbers and `NAME.json`, the manifest. The manifest holds the SHA-256 of
the `.npz`, and its own digest (over its canonical JSON, the digest entry left out) is the `policyHash` committed on
chain: one changed bit anywhere and the file is refused. No torch is needed here.

====================  ===============================================================================================
format                numbers
====================  ===============================================================================================
`bulkhead-policy-1`   matrices and biases of the layers, and of the LSTM if there is one, float64
`bulkhead-integer-1`  the code of a contract, bytes (`agent.policies.integer`)
`bulkhead-rule-1`     one float64 array per parameter of the rule; parameters that are words are in the manifest
====================  ===============================================================================================

The manifest of a rule also holds the rule's version. Code that has another version of it, and so decides differently,
refuses the file. Every rule looks at the present observation alone, so the keeper remembers nothing for it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from agent.digest import canonical_json, digest_of, sha256_hex
from agent.errors import (
    ObservationError,
    PolicyDigestError,
    PolicyError,
    PolicyFileError,
    PolicyShapeError,
    PolicyVersionError,
)
from agent.observation.observe import CHAIN, VERSIONS, Observation, vector_size
from agent.policies.forecast import Forecast
from agent.policies.integer import IntegerPolicy, Network
from agent.policies.network import Layers, Lstm, NumpyPolicy, check_shown
from agent.policies.rules import BestTrailing, FixedMix, HoldBestTrailing, Rule, SingleAsset, TunedBand
from agent.units import FloatArray
from agent.vault.limits import MAX_STRATEGIES

NETWORK, INTEGER, RULE = "bulkhead-policy-1", "bulkhead-integer-1", "bulkhead-rule-1"
"""Formats, as manifests claim them."""

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
"""The rules that files can hold, by their kind in the manifest; parameters are the fields of the class."""

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
        The rule that decides.
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


Read = TypeVar("Read", NumpyPolicy, IntegerPolicy, RulePolicy)
Reader = Callable[[bytes, Path, dict[str, Any]], Read]
"""Makes a policy of the bytes of an `.npz`, its path for messages, and a manifest that is known to be whole."""

# --- networks ----------------------------------------------------------------------------------------------------


def save_policy(
    path: Path | str,
    layers: Layers,
    manifest: Mapping[str, Any],
    version: str = CHAIN,
    lstm: Lstm | None = None,
) -> NumpyPolicy:
    """Write a network to `path` (`.npz`) and its manifest (`.json` beside it); return it as it will be loaded.

    Parameters
    ----------
    path
        Where the parameters go.
    layers
        Pairs of matrix and bias; checked as on loading.
    manifest
        Plain data about the policy's origin: `name` and `strategies` at least. Format, observation version, layer
        shapes and digests are added. With an LSTM also `step_seconds`, the time between two observations that it was
        trained with.
    version
        Observation version it was trained with.
    lstm
        The memory before the layers, if there is one.

    Raises
    ------
    PolicyError
        If it would be refused on loading. Nothing is written then.
    """
    arrays = {}
    for index, (matrix, bias) in enumerate(layers):
        arrays[f"matrix_{index}"] = np.asarray(matrix, dtype=np.float64)
        arrays[f"bias_{index}"] = np.asarray(bias, dtype=np.float64)
    if lstm is not None:
        arrays |= {f"lstm_{key}": np.asarray(array, dtype=np.float64) for key, array in vars(lstm).items()}
    content = {
        **manifest,
        "format": NETWORK,
        "observation": version,
        "layers": [list(np.shape(matrix)) for matrix, _ in layers],
        **({} if lstm is None else {"lstm": list(np.shape(lstm.inputs))}),
    }
    return _save(path, arrays, content, _network)


def load_policy_file(path: Path | str) -> NumpyPolicy:
    """Read a trained network and refuse anything that is not exactly as its manifest says.

    Raises
    ------
    PolicyError
        A subclass says what is wrong.
    """
    return _load(path, NETWORK, _network)


def _network(raw: bytes, path: Path, manifest: dict[str, Any]) -> NumpyPolicy:
    """Return the network, layers and LSTM checked against each other and the manifest."""
    with _arrays(raw, path, "the layers of its manifest") as arrays:
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
    name, digest, version = (str(manifest[key]) for key in ("name", "digest", "observation"))
    return NumpyPolicy(name, digest, layers, manifest, version, lstm)


# --- integer networks --------------------------------------------------------------------------------------------


def save_integer(path: Path | str, policy: IntegerPolicy) -> IntegerPolicy:
    """Write the network's code (`.npz`) and the manifest (`.json` beside it); return the policy as it will be loaded.

    The manifest is the policy's own with format, layer shapes, the code's SHA-256 and digests added.
    """
    code = policy.network.code()
    content = {
        **policy.manifest,
        "name": policy.name,
        "format": INTEGER,
        "observation": policy.version,
        "layers": [list(layer.weights.shape) for layer in policy.network.layers],
        "code_sha256": sha256_hex(code),
    }
    return _save(path, {"code": np.frombuffer(code, dtype=np.uint8)}, content, _integer)


def load_integer(path: Path | str) -> IntegerPolicy:
    """Read an integer policy and refuse anything that is not exactly as its manifest says.

    Raises
    ------
    PolicyError
        A subclass says what is wrong.
    """
    return _load(path, INTEGER, _integer)


def _integer(raw: bytes, path: Path, manifest: dict[str, Any]) -> IntegerPolicy:
    with _arrays(raw, path, "the code of a network") as arrays:
        code = np.asarray(arrays["code"], dtype=np.uint8).tobytes()
    network = Network.from_code(code)
    strategies, version = len(manifest["strategies"]), str(manifest["observation"])
    if network.outputs != strategies or network.inputs != vector_size(strategies, version):
        raise PolicyShapeError(f"{path}: {network.inputs} inputs and {network.outputs} outputs for {strategies}")
    return IntegerPolicy(str(manifest["name"]), str(manifest["digest"]), network, manifest, version)


# --- rules -------------------------------------------------------------------------------------------------------


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
        Plain data about the fit, for the manifest.
    version
        Observation version that it is to be shown.

    Raises
    ------
    PolicyError
        If a file cannot hold such a rule, or it would be refused on loading. Nothing is written then.
    """
    kind = next((key for key, made in KINDS.items() if type(rule) is made), None)
    if kind is None:
        raise PolicyError(f"no file holds the rule {rule.name}: it has no fitted numbers, or cannot serve at all")
    values = {field.name: getattr(rule, field.name) for field in fields(rule)}  # type: ignore[arg-type]
    arrays = {key: np.array(value, np.float64) for key, value in values.items() if not isinstance(value, str)}
    content = {
        **about,
        "name": rule.name,
        "strategies": list(strategies),
        "format": RULE,
        "observation": version,
        "kind": kind,
        "words": {key: value for key, value in values.items() if isinstance(value, str)},
        "rule_version": rule.version,
    }
    return _save(path, arrays, content, _rule)


def load_rule(path: Path | str) -> RulePolicy:
    """Read a rule and refuse anything that is not exactly as its manifest says.

    Raises
    ------
    PolicyError
        A subclass says what is wrong.
    """
    return _load(path, RULE, _rule)


def _rule(raw: bytes, path: Path, manifest: dict[str, Any]) -> RulePolicy:
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
    with _arrays(raw, path, "the numbers of a rule") as stored:
        arrays = {key: np.asarray(stored[key]) for key in stored.files}
    made = KINDS[kind]
    types = {field.name: get_type_hints(made)[field.name] for field in fields(made)}  # type: ignore[arg-type]
    if set(types) != {*arrays, *words} or len(types) != len(arrays) + len(words):
        raise PolicyFileError(f"{path} does not hold the parameters of a rule of the kind {kind!r}")
    rule = made(
        **{key: _number(path, key, array, types[key], len(strategies)) for key, array in arrays.items()},
        **{key: _word(path, key, word, types[key]) for key, word in words.items()},
    )
    written = manifest.get("rule_version", 1)  # files from before rules had versions are of the first
    if written != rule.version:
        raise PolicyVersionError(
            f"{path} holds version {written} of {rule.name}, but this is version {rule.version}, which decides "
            "differently: write the file anew with `agent export`"
        )
    return RulePolicy(rule, str(manifest["digest"]), manifest, str(manifest["observation"]))


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
        raise PolicyFileError(f"{path}: {key} cannot be {word!r}")
    return word


# --- any of them -------------------------------------------------------------------------------------------------


def load_any(path: Path | str) -> NumpyPolicy | IntegerPolicy | RulePolicy:
    """Read a policy file of any format.

    Raises
    ------
    PolicyError
        A subclass says what is wrong.
    """
    try:
        claimed = str(json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))["format"])
    except (OSError, ValueError, KeyError, TypeError):
        claimed = NETWORK  # reading it will say what is wrong
    if claimed == INTEGER:
        return load_integer(path)
    return load_rule(path) if claimed == RULE else load_policy_file(path)


def _save(path: Path | str, arrays: Mapping[str, Any], content: Mapping[str, Any], read: Reader[Read]) -> Read:
    """Write arrays and manifest, each whole or not at all; return the policy that they are."""
    target = Path(path).with_suffix(".npz")
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    raw = buffer.getvalue()
    plain = {key: value for key, value in content.items() if key != "digest"} | {"parameters_sha256": sha256_hex(raw)}
    manifest: dict[str, Any] = json.loads(canonical_json(plain))  # tuples become lists now, not on loading
    manifest["digest"] = digest_of(manifest)
    _check_manifest(manifest, target.with_suffix(".json"), str(manifest["format"]))
    policy = read(raw, target, manifest)  # a file that would be refused on loading is never written
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    for file, data in ((target, raw), (target.with_suffix(".json"), text.encode())):
        draft = file.with_name(file.name + ".part")
        draft.write_bytes(data)
        draft.replace(file)  # a new one beside an old other is refused by the digest
    return policy


def _load(path: Path | str, form: str, read: Reader[Read]) -> Read:
    """Read a file of this format, whose parts must fit each other."""
    parameters, manifest_path = Path(path).with_suffix(".npz"), Path(path).with_suffix(".json")
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyFileError(f"cannot read the policy's manifest: {error}") from error
    except ValueError as error:
        raise PolicyFileError(f"{manifest_path} is not JSON ({error}): export the policy again") from error
    _check_manifest(manifest, manifest_path, form)
    try:
        raw = parameters.read_bytes()
    except OSError as error:
        raise PolicyFileError(f"cannot read the policy's parameters: {error}") from error
    if sha256_hex(raw) != manifest["parameters_sha256"]:
        raise PolicyDigestError(
            f"{parameters} is truncated or not the file that {manifest_path.name} describes: export the policy again"
        )
    return read(raw, parameters, manifest)


_ENTRIES = ("format", "observation", "name", "strategies", "parameters_sha256", "digest")
_OWN_ENTRIES = {NETWORK: ("layers",), INTEGER: (), RULE: ("kind", "words")}
"""Entries of every manifest, and of those of a format."""


def _check_manifest(manifest: Any, path: Path, form: str) -> None:
    known = isinstance(manifest, dict)
    claimed = manifest.get("format", form) if known else form
    if claimed != form:
        raise PolicyFileError(f"{path} has the format {claimed!r}, not {form!r}: give a file of that format")
    missing = [key for key in (*_ENTRIES, *_OWN_ENTRIES[form]) if not known or key not in manifest]
    if missing:
        raise PolicyFileError(f"{path} is no policy manifest: {', '.join(missing)} missing")
    try:
        expected = digest_of({key: value for key, value in manifest.items() if key != "digest"})
    except ValueError as error:
        raise PolicyFileError(f"{path} holds numbers that no manifest has ({error})") from error
    if manifest["digest"] != expected:
        raise PolicyDigestError(f"{path} was changed after it was written: its digest is {expected}")
    if manifest["observation"] not in VERSIONS:
        raise PolicyVersionError(
            f"{path} is for observation {manifest['observation']!r} but this version observes {', '.join(VERSIONS)}: "
            "train anew"
        )


@contextmanager
def _arrays(raw: bytes, path: Path, what: str) -> Iterator[Any]:
    """Give the arrays of a policy by their names, for as long as the block lasts.

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
