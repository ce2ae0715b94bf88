"""From a float policy to its integer form: scales, rounding and biases, fitted to observations of markets.

Every unit has a scale of its own, so that its largest weight is 127; its output is scaled likewise, and the weights of
the next layer undo that. So the size of a unit does not matter, and no unit takes another's bits. The weights not yet
rounded make up for the error of rounding one (Frantar et al., "GPTQ", 2022, with the second moments of the
activations), and the biases take out the mean error that is left.
"""

from __future__ import annotations

import numpy as np

from agent.errors import IntegerFormError
from agent.policies.integer import (
    INPUT_ONE,
    INPUT_SHIFT,
    MAX_ACTIVATION,
    OUTPUT_ONE,
    IntegerPolicy,
    Layer,
    Network,
    as_inputs,
    check_size,
)
from agent.policies.network import NumpyPolicy
from agent.units import FloatArray, IntArray

_MAX_WEIGHT = 127
_MAX_BIAS = 1 << 27  # a unit that is nearly all bias must not need a shift that takes the others' bits
_NOTHING = 2.0**-30  # scale of a unit that has neither weights nor a bias
_HEADROOM = 4.0  # activations may be so many times the largest that was seen before they saturate
_DAMPING = 0.01  # share of the mean second moment: the fit must not lean on directions that were hardly seen


def quantise(policy: NumpyPolicy, observations: FloatArray) -> IntegerPolicy:
    """Return the integer form of a policy.

    Parameters
    ----------
    policy
        A ReLU network without memory, at most 24 -> 64 -> 64 -> n.
    observations
        `(N, m)` vectors of observations of markets, a few thousand; the error is made small on such as these.

    Raises
    ------
    IntegerFormError
        If the network has a memory, is too large or not of finite numbers, or the observations are not its own.
    """
    if policy.lstm is not None:
        raise IntegerFormError(f"policy {policy.name} has a memory: only plain ReLU networks have an integer form")
    check_size([matrix.shape for matrix, _ in policy.layers])
    if not all(np.isfinite(array).all() for layer in policy.layers for array in layer):
        raise IntegerFormError(f"policy {policy.name} holds NaN or infinity: train anew")
    width = policy.layers[0][0].shape[0]
    if observations.ndim != 2 or observations.shape[1] != width or len(observations) < 2:
        raise IntegerFormError(f"calibration takes observations (N, {width}), not {observations.shape}")
    if not np.isfinite(observations).all():
        raise IntegerFormError("calibration takes observations of finite numbers")

    exact, active = observations, as_inputs(observations)
    unit, offset = np.full(width, 1.0 / INPUT_ONE), np.full(width, INPUT_SHIFT)
    layers: list[Layer] = []
    multipliers = np.zeros(0, dtype=np.int64)
    for index, (matrix, bias) in enumerate(policy.layers):
        wanted = exact @ matrix + bias
        effect = matrix * unit[:, None]  # of one more in an integer activation
        scale = _scales(effect, bias)
        weights = _rounded(effect / scale, active - offset)
        sums = active @ weights
        fitted = np.rint((wanted / scale - sums).mean(0)).astype(np.int64)
        if index == len(policy.layers) - 1:
            shift = 15 - int(np.floor(np.log2(scale.max() * OUTPUT_ONE)))  # multipliers of up to 16 bits
            shift = min(max(shift, 0), 62)
            multipliers = np.minimum(np.rint(scale * OUTPUT_ONE * 2.0**shift), 65535).astype(np.int64)
            layers.append(Layer(weights, fitted, shift))
            break
        peak = max(float((sums + fitted).max()), 1.0)
        shift = max(0, int(np.ceil(np.log2(_HEADROOM * peak / MAX_ACTIVATION))))
        layers.append(Layer(weights, fitted + ((1 << shift) >> 1), shift))  # half a dropped step: to the nearest
        active = np.minimum(np.maximum(sums + layers[-1].bias, 0) >> shift, MAX_ACTIVATION)
        exact, unit, offset = np.maximum(wanted, 0.0), scale * 2.0**shift, np.zeros(len(scale), dtype=np.int64)
    manifest = {
        **{key: value for key, value in policy.manifest.items() if key not in ("evaluation", "promotion", "digest")},
        "float_policy": policy.digest,
    }
    verdict = policy.manifest.get("promotion")
    if verdict is not None and not verdict["promoted"]:
        manifest["promotion"] = verdict  # a refusal stays until the gate has judged the integer form itself
    return IntegerPolicy(f"{policy.name}-integer", "", Network(tuple(layers), multipliers), manifest, policy.version)


def _scales(effect: FloatArray, bias: FloatArray) -> FloatArray:
    """Return the value `(outputs,)` of one weight step: as fine as int8 allows, but such that the bias fits too."""
    scale = np.maximum(np.abs(effect).max(0) / _MAX_WEIGHT, np.abs(bias) / _MAX_BIAS)
    return np.where(scale > 0, scale, _NOTHING)


def _rounded(weights: FloatArray, inputs: IntArray) -> IntArray:
    """Return int8 weights `(inputs, outputs)` near to these, whose sums over the inputs `(N, inputs)` are near too."""
    seen = inputs - inputs.mean(0)  # the biases take care of the mean
    moments = seen.T @ seen / len(seen)
    moments += np.eye(len(moments)) * max(_DAMPING * float(np.diag(moments).mean()), 1.0)
    order = np.argsort(-np.diag(moments))  # the weightiest input is rounded first
    inverse = np.linalg.inv(moments[np.ix_(order, order)])
    upper = np.linalg.cholesky((inverse + inverse.T) / 2.0).T
    left, fixed = weights[order].copy(), np.zeros(weights.shape, dtype=np.int64)
    for index, row in enumerate(order):
        whole = np.clip(np.rint(left[index]), -_MAX_WEIGHT, _MAX_WEIGHT)
        fixed[row] = whole.astype(np.int64)
        left[index + 1 :] -= np.outer(upper[index, index + 1 :], (left[index] - whole) / upper[index, index])
    return fixed
