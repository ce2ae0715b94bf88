"""How many steps per second PPO learns from, with and without memory, against the usual set-up.

The set-up to beat is stable-baselines3's own PPO with one environment, minibatches of 64 and 2,048 steps between
updates (`learners.reference`), with torch on one thread, which is its fastest. The network (256, 128 and 64 units), the
ten epochs and the environment are the same on both sides.
"""

from __future__ import annotations

from agent.training.preset import load_preset
from tools.bench.learners import EPOCHS, HIDDEN, batched, learning, of_preset, reference, variant
from tools.bench.machine import cores
from tools.bench.measure import WALL, ratio
from tools.bench.part import Figure, Plan, Say, of_ratio, steps_per_second

LEAST = 25.0
RECURRENT_LEAST = 2000.0 / 500.0
"""2,000 steps/s where the set-up to beat makes 500, as it did where the target was set."""
_ENV = "rwa"


def ppo(plan: Plan, say: Say) -> list[Figure]:
    """Compare batched PPO with the set-up to beat: on all cores by the wall clock, and on one core."""
    say("one core")
    ours, theirs = batched(_ENV), reference(_ENV)
    slow = learning(theirs)
    one = ratio(learning(ours), slow, plan.turns)
    say(f"{cores()} cores")
    every = ratio(learning(ours, 2, cores()), slow, plan.turns, WALL)
    words = "PPO 256/128/64, 10 epochs, against 1 environment and batch 64"
    busy = "wall clock: true on an idle machine only"
    return [
        of_ratio("ppo", f"{words}, {cores()} cores", every, least=LEAST, clock=WALL, note=busy),
        of_ratio("ppo_one_core", f"{words}, one core", one),
        steps_per_second("ppo_steps", f"batched, {cores()} cores", every.fast, clock=WALL),
        steps_per_second("ppo_one_core_steps", "batched, one core", one.fast),
        steps_per_second("ppo_reference_steps", "1 environment, batch 64", one.slow),
    ]


def recurrent(plan: Plan, say: Say) -> list[Figure]:
    """Compare recurrent PPO with PPO without memory, the set-up to beat and the same learner without its LSTM."""
    figures: list[Figure] = []
    turns = max(3, plan.turns // 2)  # they take long, and vary little
    slow = learning(reference(_ENV))
    preset = load_preset(_ENV)
    sizes = {"256/128/64, 10 epochs": {"hidden": HIDDEN, "n_epochs": EPOCHS}, "preset": {}}
    for index, (label, numbers) in enumerate(sizes.items()):
        say(label)
        memory = learning(of_preset(variant(preset, "recurrent-ppo", **numbers)))
        plain = learning(of_preset(variant(preset, "ppo", **numbers)))
        name = ("recurrent", "recurrent_preset")[index]
        words = f"RecurrentPPO (LSTM 64, {label})"
        against = ratio(memory, slow, turns)
        figures += [
            of_ratio(name, f"{words} against MLP PPO, 1 environment, batch 64", against, least=RECURRENT_LEAST),
            of_ratio(f"{name}_mlp", f"{words} against the same without LSTM", ratio(memory, plain, turns)),
            steps_per_second(f"{name}_steps", words, against.fast),
        ]
    return figures
