"""PPO (Schulman et al., "Proximal policy optimization", 2017) as in stable-baselines3, in a loop made for one core.

`FastPPO` is a `stable_baselines3.PPO`: same arguments, same callbacks, same logs, same losses, and its file loads with
plain `PPO.load`. Only how it is computed differs:

- Rollouts lie in tensors that are allocated once; only environments whose episode ended are looked at one by one.
- Networks are affine layers with ReLU, so that their gradients are four lines (`Perceptron`) and need no graph. They
  are summed over chunks of a minibatch that stay in the processor's cache, which changes nothing but the rounding.
- Adam is torch's fused one (`OPTIMIZER`).

One thing is new, and off unless `bound_coef` is set: a price on means outside of the action space. Actions are clipped
to it, so a mean far outside has no gradient that would bring it back.

`tests/agent/test_ppo.py` shows that an update is that of stable-baselines3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from agent.errors import PresetError
from agent.training.export import affine_layers
from agent.training.rollout import Ended, Rollout, entropy, log_prob

OPTIMIZER: dict[str, Any] = {"fused": True, "eps": 1e-5}
"""For `policy_kwargs["optimizer_kwargs"]`: stable-baselines3's epsilon, and one kernel for all parameters."""

_CHUNK = 1024  # rows; activations of 256 + 128 + 64 units for as many rows are 2 MB


class FastPPO(PPO):
    """PPO for `MlpPolicy` with ReLU and a continuous action space; see the module for what is different.

    Attributes
    ----------
    bound_coef
        Added to the loss for every unit squared by which the mean of an action is below -1 or above 1; none by default.

    Raises
    ------
    PresetError
        If asked for what it does not do: state-dependent exploration, value clipping, a KL target.
    PolicyShapeError
        If the networks are anything but affine layers with ReLU between them.
    """

    bound_coef: float = 0.0

    def _setup_model(self) -> None:
        if self.use_sde or self.clip_range_vf is not None or self.target_kl is not None:
            raise PresetError("FastPPO has no use_sde, clip_range_vf or target_kl: use stable_baselines3.PPO")
        super()._setup_model()
        net, rows = self.policy.mlp_extractor, max(_CHUNK, self.n_envs)
        self.actor = Perceptron(affine_layers([*net.policy_net, self.policy.action_net]), rows)
        self.critic = Perceptron(affine_layers([*net.value_net, self.policy.value_net]), rows)
        self.rollout = Rollout.empty(self.n_steps, self.n_envs, self.actor.inputs, self.actor.outputs)
        self.advantages = torch.zeros(self.n_steps, self.n_envs)
        self.generator = torch.Generator()
        self.generator.manual_seed(self.seed) if self.seed is not None else self.generator.seed()

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "actor", "critic", "rollout", "advantages", "generator"]

    @torch.no_grad()
    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill `self.rollout` and `self.advantages`; false if the callback ended training on the way."""
        rollout, std = self.rollout, self.policy.log_std.exp()
        observations = torch.as_tensor(self._last_obs)
        rollout.starts[0] = torch.as_tensor(self._last_episode_starts)
        callback.on_rollout_start()
        for step in range(n_rollout_steps):
            noise = torch.randn(self.n_envs, self.actor.outputs, generator=self.generator)
            actions = self.actor.forward(observations) + std * noise
            rollout.observations[step], rollout.actions[step] = observations, actions
            rollout.values[step] = self.critic.forward(observations)[:, 0]
            rollout.log_probs[step] = log_prob(noise, self.policy.log_std)
            clipped = np.clip(actions.numpy(), self.action_space.low, self.action_space.high)  # type: ignore[attr-defined]
            self._last_obs, rewards, dones, infos = env.step(clipped)  # type: ignore[assignment]
            rollout.rewards[step], rollout.starts[step + 1] = torch.as_tensor(rewards), torch.as_tensor(dones)
            observations = torch.as_tensor(self._last_obs)
            self._last_episode_starts = dones
            self.num_timesteps += self.n_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            ended = Ended.of(dones, infos)
            if ended is not None:
                self.ep_info_buffer.extend(ended.episodes)  # type: ignore[union-attr]
                if ended.cut.size:  # what a cut episode would still have earned
                    rollout.rewards[step, ended.cut] += self.gamma * self.critic.forward(ended.observations)[:, 0]
        self.advantages = rollout.advantages(self.critic.forward(observations)[:, 0], self.gamma, self.gae_lambda)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    @torch.no_grad()
    def train(self) -> None:
        """Update the policy with the rollout: `n_epochs` times over all of it, in minibatches."""
        self._update_learning_rate(self.policy.optimizer)
        clip = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        rollout, parameters = self.rollout, list(self.policy.parameters())
        observations, actions = rollout.observations.flatten(0, 1), rollout.actions.flatten(0, 1)
        log_probs, advantages = rollout.log_probs.flatten(), self.advantages.flatten()
        returns = advantages + rollout.values.flatten()
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        sums = torch.zeros(4)
        for _ in range(self.n_epochs):
            for chosen in torch.split(self.permutation(len(returns)), self.batch_size):
                gains = advantages[chosen]
                if self.normalize_advantage and len(chosen) > 1:
                    gains = (gains - gains.mean()) / (gains.std() + 1e-8)
                torch._foreach_zero_(gradients)
                batch = (observations[chosen], actions[chosen], log_probs[chosen], gains, returns[chosen])
                for rows in range(0, len(chosen), _CHUNK):
                    chunk = [part[rows : rows + _CHUNK] for part in batch]
                    sums += self._add_gradients(chunk, clip, 1.0 / len(chosen))
                _gradient(self.policy.log_std).sub_(self.ent_coef)  # the entropy is the sum of log_std, and constants
                nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
                self.policy.optimizer.step()
            self._n_updates += 1
        self._record(sums / (self.n_epochs * len(returns)), returns, clip)

    def outputs(self, seen: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return means `(T, b, k)` and values `(T, b)` for observations `(T, b, m)`, with a graph for gradients."""
        net = self.policy.mlp_extractor
        return self.policy.action_net(net.policy_net(seen)), self.policy.value_net(net.value_net(seen))[..., 0]

    def permutation(self, count: int) -> Tensor:
        """Return the order in which an epoch goes through the `count` transitions, step by step then vault by vault."""
        return torch.randperm(count, generator=self.generator)

    def _add_gradients(self, chunk: list[Tensor], clip: float, share: float) -> Tensor:
        """Add the gradients of the loss of some rows, each of which is `share` of its minibatch; return sums for logs.

        The loss of a row is `-min(ratio x gain, clip(ratio) x gain) + vf_coef x (return - value)^2`.
        """
        seen, actions, old, gains, returns = chunk
        log_std = self.policy.log_std
        means = self.actor.forward(seen)
        noise = (actions - means) / log_std.exp()
        log_ratio = log_prob(noise, log_std) - old
        ratio = log_ratio.exp()
        plain, clipped = ratio * gains, ratio.clamp(1.0 - clip, 1.0 + clip) * gains
        by_log_prob = torch.where(plain <= clipped, -share * plain, 0.0)[:, None]  # no gradient where clipping binds
        slope = by_log_prob * noise / log_std.exp()
        if self.bound_coef:
            slope += (2.0 * self.bound_coef * share) * (means - means.clamp(-1.0, 1.0))
        self.actor.backward(slope)
        _gradient(log_std).add_((by_log_prob * (noise.square() - 1.0)).sum(0))
        error = self.critic.forward(seen) - returns[:, None]
        self.critic.backward((2.0 * self.vf_coef * share) * error)
        out = ((ratio - 1.0).abs() > clip).float()
        logs = (-torch.minimum(plain, clipped), error[:, 0].square(), (ratio - 1.0) - log_ratio, out)
        return torch.stack([log.sum() for log in logs])

    def _record(self, means: Tensor, returns: Tensor, clip: float) -> None:
        log_std, values = self.policy.log_std, self.rollout.values.flatten()
        figures = dict(
            zip(("policy_gradient_loss", "value_loss", "approx_kl", "clip_fraction"), means.tolist(), strict=True)
        )
        figures["entropy_loss"] = -float(entropy(log_std))
        figures["explained_variance"] = float(1.0 - (returns - values).var() / returns.var())
        figures["std"], figures["clip_range"] = float(log_std.exp().mean()), clip
        for name, value in figures.items():
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")


class Perceptron:
    """Affine layers with ReLU between them, with gradients by hand and no memory allocated on the way.

    Parameters
    ----------
    layers
        The layers, whose parameters it reads and whose `grad` it adds to.
    rows
        Most rows at once.
    """

    def __init__(self, layers: Iterable[nn.Linear], rows: int) -> None:
        self.layers = list(layers)
        self.inputs, self.outputs = self.layers[0].in_features, self.layers[-1].out_features
        self._units = [torch.empty(rows, layer.out_features) for layer in self.layers]
        self._slopes = [torch.empty(rows, layer.out_features) for layer in self.layers[:-1]]
        self._ones = torch.ones(rows)
        self._seen = self._ones

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs `(rows, outputs)`, which the next call overwrites."""
        self._seen = units = inputs
        for layer, storage in zip(self.layers, self._units, strict=True):
            below, units = units, storage[: len(inputs)]
            torch.addmm(layer.bias, below, layer.weight.T, out=units)
            if layer is not self.layers[-1]:
                units.relu_()
        return units

    def backward(self, slope: Tensor) -> None:
        """Add to the parameters' gradients, given the loss's by the last outputs `(rows, outputs)`."""
        for index in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[index]
            below = self._units[index - 1][: len(slope)] if index else self._seen
            _gradient(layer.weight).addmm_(slope.T, below)
            _gradient(layer.bias).addmv_(slope.T, self._ones[: len(slope)])
            if index:
                through = torch.mm(slope, layer.weight, out=self._slopes[index - 1][: len(slope)])
                slope = torch.ops.aten.threshold_backward.grad_input(through, below, 0, grad_input=through)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None  # noqa: S101  made in `train` before anything is added
    return parameter.grad
