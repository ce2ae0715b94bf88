"""A small ReLU network in integers, to the bit as a contract would compute it, and the policy that runs it.

`Network` is the definition: int8 weights, eight 32-bit lanes per 256-bit word, as a contract would multiply them.
`IntegerPolicy` shows it observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from agent.errors import IntegerFormError, NotFiniteError
from agent.observation.observe import Observation
from agent.policies.actions import to_weights
from agent.policies.network import check_shown
from agent.units import FloatArray, IntArray
from agent.vault.limits import MAX_STRATEGIES

INPUT_ONE = 1 << 15
"""An input of 1.0, before the shift."""

INPUT_SHIFT = 3 * INPUT_ONE
"""Added to inputs, which makes them unsigned; also the bound of their magnitude."""

MAX_ACTIVATION = (1 << 18) - 1
OUTPUT_ONE = 1 << 16
"""An output of 1.0."""

MAX_INPUTS, MAX_HIDDEN, MAX_LAYERS = 24, 64, 3
_BIAS = 128
_LANES, _PACKED = 8, 4


@dataclass(frozen=True)
class Layer:
    """One affine layer of integers.

    Attributes
    ----------
    weights
        `(inputs, outputs)` in [-127, 127].
    bias
        `(outputs,)` in [-2^31, 2^31).
    shift
        Bits to drop from the sums, after the multiplication in the last layer.
    """

    weights: IntArray
    bias: IntArray
    shift: int


@dataclass(frozen=True)
class Network:
    """Layers of integers and the multipliers `(outputs,)` of the last one, checked so that no sum can overflow.

    Raises
    ------
    IntegerFormError
        If it is larger than the format holds, or a number is out of its range.
    """

    layers: tuple[Layer, ...]
    multipliers: IntArray

    def __post_init__(self) -> None:
        check_size([layer.weights.shape for layer in self.layers])
        most = 2 * INPUT_SHIFT
        for index, layer in enumerate(self.layers):
            if np.abs(layer.weights).max() >= _BIAS or not 0 <= layer.shift < 64:
                raise IntegerFormError(f"layer {index} has weights over 127 or an impossible shift")
            if layer.bias.min() < -(1 << 31) or layer.bias.max() >= 1 << 31:
                raise IntegerFormError(f"layer {index} has a bias that 32 bits do not hold")
            if most * int((layer.weights + _BIAS).sum(0).max()) >= 1 << 32:
                raise IntegerFormError(f"layer {index} can overflow a lane of 32 bits: it has too many inputs")
            most = MAX_ACTIVATION
        outputs = self.layers[-1].bias.size
        if self.multipliers.shape != (outputs,) or self.multipliers.min() < 0 or self.multipliers.max() >= 1 << 16:
            raise IntegerFormError("the multipliers of the last layer must be one per output, of 16 bits")

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return int(self.layers[0].weights.shape[0])

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return int(self.multipliers.size)

    def run(self, inputs: IntArray) -> IntArray:
        """Return outputs `(B, n)`, `OUTPUT_ONE` is 1.0, for inputs `(B, m)` of `as_inputs`."""
        hidden = inputs
        for layer in self.layers[:-1]:
            hidden = np.minimum(np.maximum(hidden @ layer.weights + layer.bias, 0) >> layer.shift, MAX_ACTIVATION)
        last = self.layers[-1]
        return np.clip(((hidden @ last.weights + last.bias) * self.multipliers) >> last.shift, -OUTPUT_ONE, OUTPUT_ONE)

    def code(self) -> bytes:
        """Return the network as the code of a contract."""
        sizes = [number for layer in self.layers for number in (layer.bias.size, layer.shift)]
        code = bytes([0, 1, self.inputs, len(self.layers), *sizes]).ljust(32, b"\0")
        for layer in self.layers:
            rows, columns = (-size % by for size, by in zip(layer.weights.shape, (_PACKED, _LANES), strict=True))
            biased = np.pad(layer.weights + _BIAS, ((0, rows), (0, columns)), constant_values=_BIAS)
            # (input group, byte, output group, lane) -> words of lanes of bytes, highest first
            grouped = biased.reshape(-1, _PACKED, biased.shape[1] // _LANES, _LANES)
            code += grouped.transpose(2, 0, 3, 1)[:, :, ::-1, ::-1].astype(np.uint8).tobytes()
            code += _words(np.pad(layer.bias, (0, columns)))
        return code + _words(np.pad(self.multipliers, (0, -self.outputs % _LANES)))

    @classmethod
    def from_code(cls, code: bytes) -> Network:
        """Return the network that `code` stores.

        Raises
        ------
        IntegerFormError
            If it is not such code, to the last byte.
        """
        count = code[3] if len(code) >= 32 else 0
        if not 1 <= count <= MAX_LAYERS or code[:2] != b"\0\1" or any(code[4 + 2 * count : 32]):
            raise IntegerFormError("this is not the code of a network")
        layers, rest, inputs = [], code[32:], code[2]
        try:
            for outputs, shift in zip(code[4 : 4 + 2 * count : 2], code[5 : 4 + 2 * count : 2], strict=True):
                rows, columns = inputs + -inputs % _PACKED, outputs + -outputs % _LANES
                packed = np.frombuffer(rest[: rows * columns], dtype=np.uint8)
                words = packed.reshape(columns // _LANES, rows // _PACKED, _LANES, _PACKED)[:, :, ::-1, ::-1]
                biased = words.transpose(1, 3, 0, 2).reshape(rows, columns)
                bias, rest = _lanes(rest[rows * columns :], columns)
                layers.append(Layer(biased[:inputs, :outputs].astype(np.int64) - _BIAS, bias[:outputs], shift))
                inputs = outputs
            multipliers, rest = _lanes(rest, inputs + -inputs % _LANES)
        except ValueError as error:
            raise IntegerFormError(f"the code of a network is cut short ({error})") from error
        network = cls(tuple(layers), multipliers[:inputs])
        if rest or network.code() != code:
            raise IntegerFormError("the code of a network holds more than the network")
        return network


def check_size(shapes: list[tuple[int, ...]]) -> None:
    """Refuse layers of these shapes unless they fit the format.

    Raises
    ------
    IntegerFormError
        If there are more inputs, units, layers or outputs than it holds.
    """
    fits = 1 <= len(shapes) <= MAX_LAYERS and all(len(shape) == 2 and min(shape) >= 1 for shape in shapes)
    fits = fits and all(before[1] == after[0] for before, after in pairwise(shapes))
    fits = fits and all(shape[1] <= MAX_HIDDEN for shape in shapes)
    if not fits or shapes[0][0] > MAX_INPUTS or shapes[-1][1] > MAX_STRATEGIES:
        raise IntegerFormError(
            f"the integer form is for up to {MAX_INPUTS} inputs, {MAX_LAYERS - 1} hidden layers of up to "
            f"{MAX_HIDDEN} and {MAX_STRATEGIES} outputs, not for layers of {shapes}: train with a smaller ppo.hidden"
        )


def as_inputs(vectors: FloatArray) -> IntArray:
    """Return the unsigned inputs `(B, m)` for vectors `(B, m)` of observations.

    Raises
    ------
    NotFiniteError
        If a number is NaN.
    """
    if np.isnan(vectors).any():
        raise NotFiniteError("an observation must be of numbers: a read failed or a price is missing")
    scaled = np.floor(np.clip(vectors, -3.0, 3.0) * INPUT_ONE + 0.5)
    return np.asarray(scaled, dtype=np.int64) + INPUT_SHIFT


def _words(lanes: IntArray) -> bytes:
    """Pack numbers of 32 bits, a multiple of eight of them, into words; the first into the lowest lane."""
    return (lanes & 0xFFFFFFFF).astype(">u4").reshape(-1, _LANES)[:, ::-1].tobytes()


def _lanes(code: bytes, count: int) -> tuple[IntArray, bytes]:
    """Return the first `count` signed numbers of 32 bits of some words, and the bytes behind them."""
    words = np.frombuffer(code[: 4 * count], dtype=">i4").reshape(count // _LANES, _LANES)[:, ::-1]
    return words.ravel().astype(np.int64), code[4 * count :]


@dataclass(frozen=True)
class IntegerPolicy:
    """A policy whose network runs in integers; after the input nothing is rounded except as `Network` defines.

    Attributes
    ----------
    name, digest, version, manifest
        As of `agent.policies.network.NumpyPolicy`.
    network
        The integers.
    """

    name: str
    digest: str
    network: Network
    manifest: dict[str, Any]
    version: str

    @cached_property
    def count(self) -> int:
        """Number of strategies it is for."""
        return self.network.outputs

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`.

        Raises
        ------
        PolicyVersionError, PolicyShapeError
            If the observation is of another version or number of strategies.
        """
        check_shown(self.name, self.version, self.count, observation)
        return to_weights(self.version, self.network.run(as_inputs(observation.vector())) / OUTPUT_ONE)
