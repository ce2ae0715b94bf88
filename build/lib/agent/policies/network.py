"""The exported network that numpy alone can run, float64: affine layers with ReLU, after an LSTM if it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from agent.errors import PolicyMemoryError, PolicyShapeError, PolicyVersionError
from agent.observation.observe import CHAIN, Observation
from agent.policies.actions import to_weights
from agent.units import FloatArray

Layers = Sequence[tuple[FloatArray, FloatArray]]
"""Pairs of a matrix `(inputs, outputs)` and a bias `(outputs,)`."""


def forward(layers: Layers, inputs: FloatArray) -> FloatArray:
    """Return the outputs `(B, n)` of affine layers with ReLU between them, for inputs `(B, m)`."""
    single = len(inputs) == 1  # numpy is slow to add a vector to a matrix of one row
    hidden = inputs[0] if single else inputs
    for matrix, bias in layers[:-1]:
        hidden = hidden.dot(matrix)
        hidden += bias
        np.maximum(hidden, _zeros(bias.size), hidden)
    matrix, bias = layers[-1]
    outputs: FloatArray = hidden.dot(matrix)
    outputs += bias
    return outputs[None] if single else outputs


@cache
def _zeros(size: int) -> FloatArray:
    """Return zeros to compare a layer with: as many of them take numpy half the time of a single one."""
    zeros = np.zeros(size)
    zeros.flags.writeable = False
    return zeros


@dataclass(frozen=True)
class Lstm:
    """One layer of long short-term memory (Hochreiter and Schmidhuber, 1997), as torch computes it.

    Attributes
    ----------
    inputs, hidden
        `(m, 4 u)` and `(u, 4 u)` matrices for the inputs and for the remembered output; the gates in the order input,
        forget, cell, output.
    bias
        `(4 u,)`.
    """

    inputs: FloatArray
    hidden: FloatArray
    bias: FloatArray

    @property
    def units(self) -> int:
        """Width of its output; it remembers twice as many numbers."""
        return int(self.hidden.shape[0])

    def step(self, seen: FloatArray, memory: FloatArray) -> FloatArray:
        """Return the memory `(B, 2 u)` after seeing `(B, m)`: the output `u`, then the cell `u`."""
        output, cell = memory[:, : self.units], memory[:, self.units :]
        gates = seen @ self.inputs + output @ self.hidden + self.bias
        enter, keep, new, show = np.split(gates, 4, axis=1)
        cell = _sigmoid(keep) * cell + _sigmoid(enter) * np.tanh(new)
        return np.concatenate([_sigmoid(show) * np.tanh(cell), cell], axis=1)


@dataclass(frozen=True)
class NumpyPolicy:
    """A trained network: affine layers with ReLU between them, after an LSTM if it has one; float64.

    Attributes
    ----------
    name
        Name from the manifest.
    digest
        Digest of the manifest.
    layers
        Pairs of a matrix `(inputs, outputs)` and a bias `(outputs,)`.
    manifest
        The manifest of its file: strategies, limits, seeds, training data, evaluation.
    version
        Observation version it was trained with.
    lstm
        The memory before the layers, if there is one.
    """

    name: str
    digest: str
    layers: Layers
    manifest: dict[str, Any]
    version: str = CHAIN
    lstm: Lstm | None = None

    @property
    def count(self) -> int:
        """Number of strategies it was trained for."""
        return int(self.layers[-1][1].size)

    @property
    def memory_size(self) -> int:
        """Numbers that the LSTM remembers of each vault; zero without one."""
        return 0 if self.lstm is None else 2 * self.lstm.units

    @property
    def step_seconds(self) -> float | None:
        """Time between two observations that it was trained with, from the manifest."""
        seconds = self.manifest.get("step_seconds")
        return None if seconds is None else float(seconds)

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`.

        Raises
        ------
        PolicyShapeError
            If the observation is of another number of strategies.
        PolicyVersionError
            If it is of another version.
        PolicyMemoryError
            If the network has a memory: it has to be carried from call to call.
        """
        if self.lstm is not None:
            raise PolicyMemoryError(
                f"policy {self.name} has a memory: ask it with agent.policies.load.act, and carry that on"
            )
        return self.act_with_memory(observation, np.zeros((len(observation), 0)))[0]

    def act_with_memory(self, observation: Observation, memory: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return wanted weights `(B, n)` and the memory `(B, memory_size)` after this observation.

        Raises
        ------
        PolicyError
            As `act`; and `PolicyMemoryError` if the memory is not of this network and these vaults.
        """
        check_shown(self.name, self.version, self.count, observation)
        if memory.shape != (len(observation), self.memory_size) or not np.isfinite(memory).all():
            raise PolicyMemoryError(
                f"the memory of policy {self.name} is {self.memory_size} numbers per vault, not {memory.shape}: "
                "start with none"
            )
        outputs, memory = self.outputs(observation.vector(), memory)
        return to_weights(self.version, outputs), memory

    def outputs(self, inputs: FloatArray, memory: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the network's outputs `(B, n)` for inputs `(B, m)`, and the memory afterwards."""
        if self.lstm is None:
            return forward(self.layers, inputs), memory
        memory = self.lstm.step(inputs, memory)
        return forward(self.layers, memory[:, : self.lstm.units]), memory


def check_shown(name: str, version: str, count: int, observation: Observation) -> None:
    """Refuse an observation that a policy of this name, observation version and number of strategies is not for.

    Raises
    ------
    PolicyVersionError, PolicyShapeError
        If the observation is of another version or number of strategies.
    """
    if observation.version != version:
        raise PolicyVersionError(
            f"policy {name} is for observation {version!r}, but is shown {observation.version!r}: "
            "choose a policy of that version"
        )
    if observation.count != count:
        raise PolicyShapeError(
            f"policy {name} is for {count} strategies but the vault has {observation.count}: "
            "choose a policy that was made for as many"
        )


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))  # overflows for no number
