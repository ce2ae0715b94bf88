"""PPO with LSTM memory as in sb3-contrib, for many environments at once.

`FastRecurrentPPO` is an `sb3_contrib.RecurrentPPO` with `MlpLstmPolicy`: same arguments, same losses, and its file
loads with plain `RecurrentPPO.load`. What differs is how minibatches are cut: a minibatch is whole sequences, all steps
of some environments, so that nothing is padded and all of them take each step of the LSTM together.
`tests/agent/test_recurrent_ppo.py` shows that an update with one minibatch is that of sb3-contrib.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from agent.errors import PresetError
from agent.training.rollout import Ended, Rollout, entropy, log_prob

State = tuple[Tensor, Tensor]
"""Hidden and cell state of an LSTM, `(B, units)` each."""


class FastRecurrentPPO(RecurrentPPO):
    """Recurrent PPO with one LSTM layer each for actor and critic, and a continuous action space.

    `batch_size` counts transitions and is a multiple of `n_steps`.

    Raises
    ------
    PresetError
        If asked for what it does not do.
    """

    policy: Any  # a module whose attributes torch's types call "Tensor | Module"

    def _setup_model(self) -> None:
        if self.use_sde or self.clip_range_vf is not None or self.target_kl is not None:
            raise PresetError(
                "FastRecurrentPPO has no use_sde, clip_range_vf or target_kl: use sb3_contrib.RecurrentPPO"
            )
        if self.batch_size is None or self.batch_size % self.n_steps:
            raise PresetError(f"batch_size must be a multiple of n_steps ({self.n_steps}): minibatches are sequences")
        super()._setup_model()
        if self.policy.lstm_critic is None or self.policy.lstm_actor.num_layers != 1:
            raise PresetError("FastRecurrentPPO has one LSTM layer each for actor and critic")
        outputs = self.policy.action_net.out_features
        self.rollout = Rollout.empty(self.n_steps, self.n_envs, self.policy.features_dim, outputs)
        self.advantages = torch.zeros(self.n_steps, self.n_envs)
        units = self.policy.lstm_actor.hidden_size
        self.states: tuple[State, State] = (_zeros(self.n_envs, units), _zeros(self.n_envs, units))
        self.first_states = self.states
        self.generator = torch.Generator()
        self.generator.manual_seed(self.seed) if self.seed is not None else self.generator.seed()

    def _excluded_save_params(self) -> list[str]:
        ours = ["rollout", "advantages", "states", "first_states", "generator"]
        return [*super()._excluded_save_params(), *ours]

    @torch.no_grad()
    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill `self.rollout` and `self.advantages`; false if the callback ended training on the way."""
        rollout, log_std = self.rollout, self.policy.log_std
        observations = torch.as_tensor(self._last_obs)
        rollout.starts[0] = torch.as_tensor(self._last_episode_starts)
        self.first_states = self.states
        callback.on_rollout_start()
        for step in range(n_rollout_steps):
            means, values, self.states = self._step(observations, rollout.starts[step], self.states)
            noise = torch.randn(means.shape, generator=self.generator)
            actions = means + log_std.exp() * noise
            rollout.observations[step], rollout.actions[step], rollout.values[step] = observations, actions, values
            rollout.log_probs[step] = log_prob(noise, log_std)
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
                    of_cut = _rows(self.states, torch.as_tensor(ended.cut))
                    _, values, _ = self._step(ended.observations, torch.zeros(len(ended.cut)), of_cut)
                    rollout.rewards[step, ended.cut] += self.gamma * values
        _, last_values, _ = self._step(observations, rollout.starts[-1], self.states)
        self.advantages = rollout.advantages(last_values, self.gamma, self.gae_lambda)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Update the policy with the rollout: `n_epochs` times over all of it, in minibatches of whole sequences."""
        self._update_learning_rate(self.policy.optimizer)
        clip = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        rollout, log_std = self.rollout, self.policy.log_std
        returns = self.advantages + rollout.values
        figures, sequences = [], (self.batch_size or 0) // self.n_steps
        for _ in range(self.n_epochs):
            order = torch.randperm(self.n_envs, generator=self.generator)
            for envs in torch.split(order, sequences):
                first = [(hidden[envs], cell[envs]) for hidden, cell in self.first_states]
                means, values = self._sequences(rollout.observations[:, envs], rollout.starts[:-1, envs], first)
                gains = self.advantages[:, envs]
                if self.normalize_advantage:
                    gains = (gains - gains.mean()) / (gains.std() + 1e-8)
                noise = (rollout.actions[:, envs] - means) / log_std.exp()
                log_ratio = log_prob(noise, log_std) - rollout.log_probs[:, envs]
                ratio = log_ratio.exp()
                policy_loss = -torch.min(gains * ratio, gains * ratio.clamp(1.0 - clip, 1.0 + clip)).mean()
                value_loss = (returns[:, envs] - values).square().mean()
                entropy_loss = -entropy(log_std)
                loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                kl, out = (ratio - 1.0 - log_ratio).mean(), ((ratio - 1.0).abs() > clip).float().mean()
                figures.append(torch.stack([policy_loss, value_loss, entropy_loss, kl, out]).detach())
            self._n_updates += 1
        names = ("policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl", "clip_fraction")
        for name, value in zip(names, torch.stack(figures).mean(0).tolist(), strict=True):
            self.logger.record(f"train/{name}", value)
        explained = 1.0 - (returns - rollout.values).var() / returns.var()
        self.logger.record("train/explained_variance", float(explained))
        self.logger.record("train/std", float(log_std.exp().mean().detach()))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def outputs(self, seen: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return means `(T, b, k)` and values `(T, b)` for sequences `(T, b, m)`; one in `starts` begins an episode."""
        nothing = _zeros(seen.shape[1], self.policy.lstm_actor.hidden_size)
        return self._sequences(seen, starts, [nothing, nothing])

    def _step(
        self, seen: Tensor, starts: Tensor, states: tuple[State, State]
    ) -> tuple[Tensor, Tensor, tuple[State, State]]:
        """Return means `(B, k)`, values `(B,)` and the states after seeing `(B, m)`; zero states where one starts."""
        kept = (1.0 - starts)[:, None]
        actor = _cell(self.policy.lstm_actor, seen, states[0], kept)
        critic = _cell(self.policy.lstm_critic, seen, states[1], kept)
        means, values = self._heads(actor[0], critic[0])
        return means, values, (actor, critic)

    def _sequences(self, seen: Tensor, starts: Tensor, first: list[State]) -> tuple[Tensor, Tensor]:
        """Return means `(T, b, k)` and values `(T, b)` for sequences `(T, b, m)` that begin with these states."""
        outputs = []
        for lstm, state in zip((self.policy.lstm_actor, self.policy.lstm_critic), first, strict=True):
            hidden = []
            for row, start in zip(seen, starts, strict=True):
                state = _cell(lstm, row, state, (1.0 - start)[:, None])
                hidden.append(state[0])
            outputs.append(torch.stack(hidden))
        return self._heads(*outputs)

    def _heads(self, actor: Tensor, critic: Tensor) -> tuple[Tensor, Tensor]:
        policy = self.policy
        means = policy.action_net(policy.mlp_extractor.forward_actor(actor))
        return means, policy.value_net(policy.mlp_extractor.forward_critic(critic))[..., 0]


def _cell(lstm: Any, inputs: Tensor, state: State, kept: Tensor) -> State:
    """Return the state of a one-layer LSTM after one more step; the state before is multiplied by `kept` `(B, 1)`."""
    before = (state[0] * kept, state[1] * kept)
    return torch.lstm_cell(inputs, before, lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0)


def _zeros(rows: int, units: int) -> State:
    return torch.zeros(rows, units), torch.zeros(rows, units)


def _rows(states: tuple[State, State], chosen: Tensor) -> tuple[State, State]:
    (a, b), (c, d) = states
    return (a[chosen], b[chosen]), (c[chosen], d[chosen])
