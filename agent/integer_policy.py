"""The policy that runs a network of integers (`agent.integer`), and its file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from agent.actions import to_weights
from agent.digest import sha256_hex
from agent.errors import PolicyShapeError
from agent.integer import OUTPUT_ONE, Network, as_inputs
from agent.network import check_shown
from agent.observation import Observation, vector_size
from agent.policy_file import read_pair, stored_arrays, write_pair
from agent.units import FloatArray

FORMAT = "bulkhead-integer-1"


@dataclass(frozen=True)
class IntegerPolicy:
    """A policy whose network is executed in integers; after the input nothing is rounded but as `agent.integer` says.

    Attributes
    ----------
    name, digest, version, manifest
        As of `agent.network.NumpyPolicy`.
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


def save_integer(path: Path | str, policy: IntegerPolicy) -> IntegerPolicy:
    """Write the network's code (`.npz`) and the manifest (`.json` beside it); return the policy as it will be loaded.

    The manifest is the policy's own with format, layer shapes, the code's SHA-256 and digests added.
    """
    target = Path(path).with_suffix(".npz")
    code = policy.network.code()
    buffer = io.BytesIO()
    np.savez(buffer, code=np.frombuffer(code, dtype=np.uint8))
    content = {
        **policy.manifest,
        "name": policy.name,
        "format": FORMAT,
        "observation": policy.version,
        "layers": [list(layer.weights.shape) for layer in policy.network.layers],
        "code_sha256": sha256_hex(code),
    }
    write_pair(target, buffer.getvalue(), content)
    return load_integer(target)


def load_integer(path: Path | str) -> IntegerPolicy:
    """Read an integer policy and refuse anything that is not exactly what its manifest says.

    Raises
    ------
    PolicyError
        A subclass says what is wrong.
    """
    raw, manifest = read_pair(path, FORMAT)
    with stored_arrays(raw, path, "the code of a network") as arrays:
        code = np.asarray(arrays["code"], dtype=np.uint8).tobytes()
    network = Network.from_code(code)
    strategies, version = len(manifest["strategies"]), str(manifest["observation"])
    if network.outputs != strategies or network.inputs != vector_size(strategies, version):
        raise PolicyShapeError(f"{path}: {network.inputs} inputs and {network.outputs} outputs for {strategies}")
    return IntegerPolicy(str(manifest["name"]), str(manifest["digest"]), network, manifest, version)
