"""A small ReLU network in integers: what a contract can execute, and exactly what it would say.

This module is the definition. `agent.quantise` makes such a network out of a float one, `agent.integer_policy` is the
policy that runs it, and its file. A floor is meant wherever bits are shifted away.

**Input.** Number `x_i` of the observation's vector, within [-3, 3], becomes the unsigned integer
`a_i = clip(floor(32768 x_i + 1/2), -98304, 98304) + 98304`. (The float sum is IEEE 754 double; a contract that computes
`x_i` in fixed point rounds likewise.) What the shift by 98304 adds is taken out again by the biases of the first layer.

**Layer** with weights `w_io` in [-127, 127] and biases `b_o` in [-2^31, 2^31): `z_o = sum_i a_i w_io + b_o`. Weights
are stored biased, `u_io = w_io + 128`, in 1 to 255: a lane sums `sum_i a_i u_io` without a sign, and
`z_o = lane_o - 128 sum_i a_i + b_o`. Activations are at most `2^18 - 1`, so that a lane of 32 bits never overflows
into the next: `Network` refuses weights with which it could.

- Hidden: `a_o = min(max(z_o, 0) >> shift, 2^18 - 1)`, the input of the next layer.
- Last: `y_o = clip((z_o m_o) >> shift, -65536, 65536)` with a multiplier `m_o` of 16 bits. `y_o / 65536` is the output
  that `agent.actions.to_weights` takes: in `chain-2` the wanted weight is `2 + y_o / 65536`.

**Code.** A network is stored as the code of a contract, words of 32 bytes, big-endian. A word of eight lanes holds
lane `l` at bits `32 l` to `32 l + 31`, so lane 0 is the last four bytes.

1. Header: bytes `00` (STOP: a call does nothing), `01` (this format), number of inputs, number of layers `L`; then of
   each layer its number of outputs and its shift; zeros up to byte 31.
2. Of each layer with `I` inputs and `O` outputs, which are filled up with `w = 0`, `b = 0` to multiples of 4 and 8:
   for each group `g` of eight outputs and each group `j` of four inputs one word, with `u` of input `4 j + k` and
   output `8 g + l` at bits `32 l + 8 k`. So `(word >> 8 k) & 0x000000ff...000000ff`, times `a_{4 j + k}`, is added to
   eight lanes at once. Then the biases, two's complement, for each group `g` one word of eight lanes.
3. The multipliers of the last layer, for each group `g` one word of eight lanes.

24 inputs, two hidden layers of 64 and 16 outputs take 7,328 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from agent.errors import IntegerFormError, NotFiniteError
from agent.limits import MAX_STRATEGIES
from agent.units import FloatArray, IntArray

INPUT_ONE = 1 << 15
"""What 1.0 is as an input, before the shift."""

INPUT_SHIFT = 3 * INPUT_ONE
"""Added to inputs, which makes them unsigned; also the bound of their magnitude."""

MOST_ACTIVATION = (1 << 18) - 1
OUTPUT_ONE = 1 << 16
"""What 1.0 is as an output."""

MOST_INPUTS, MOST_HIDDEN, MOST_LAYERS = 24, 64, 3
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
            most = MOST_ACTIVATION
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
            hidden = np.minimum(np.maximum(hidden @ layer.weights + layer.bias, 0) >> layer.shift, MOST_ACTIVATION)
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
        if not 1 <= count <= MOST_LAYERS or code[:2] != b"\0\1" or any(code[4 + 2 * count : 32]):
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
    fits = 1 <= len(shapes) <= MOST_LAYERS and all(len(shape) == 2 and min(shape) >= 1 for shape in shapes)
    fits = fits and all(before[1] == after[0] for before, after in pairwise(shapes))
    fits = fits and all(shape[1] <= MOST_HIDDEN for shape in shapes)
    if not fits or shapes[0][0] > MOST_INPUTS or shapes[-1][1] > MAX_STRATEGIES:
        raise IntegerFormError(
            f"the integer form is for up to {MOST_INPUTS} inputs, {MOST_LAYERS - 1} hidden layers of up to "
            f"{MOST_HIDDEN} and {MAX_STRATEGIES} outputs, not for layers of {shapes}: train with a smaller ppo.hidden"
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
