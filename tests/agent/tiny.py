"""A preset so small that a training run takes a second."""

from __future__ import annotations


def tiny_preset(seconds: int, steps: int) -> str:
    """Return the preset's TOML, which ends after so many seconds or steps."""
    return f"""
name = "tiny"
seconds = {seconds}
steps = {steps}
[env]
nav = [10_000, 10_000_000]
leg_cost = [1e-5, 1e-3]
episode_rows = 10
warm_up_rows = 5
[ppo]
envs = 32
n_steps = 16
batch_size = 512
hidden = [16]
[market]
bank_paths = 8
bank_rows = 40
[evaluation]
paths = 4
test_paths = 2
test_rows = 10
"""
