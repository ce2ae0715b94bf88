"""How far training is from the machine's matrix multiplications, float32, one core.

Floating-point operations of PPO per step of an environment, with `2 i o` for a row through a layer of `i` inputs and
`o` outputs (a multiplication and an addition per weight):

    forward  = sum over the layers of actor and critic of 2 i o
    backward = the same for the gradient of the weights, and again for that of the inputs, except of the first layer
    per step = epochs x (forward + backward) + forward      (the last one while it is gathered)

The ceiling is how many of these the machine does per second in nothing but those multiplications: `torch.mm` into
memory that is there already, for every layer, forward and both gradients, with as many rows as make it fastest: a whole
minibatch, or a part that stays in the processor's cache. What training does beside them (the environment, activations,
losses, Adam) counts as time lost. Both sides take turns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from agent.training.learner import Learner
from agent.training.ppo import FastPPO
from agent.training.preset import load_preset
from tools.bench.learners import batched, learning, of_preset
from tools.bench.measure import CLOCKS, CPU, Work, ratio, speed
from tools.bench.part import Figure, Plan, Say

LEAST = 0.60
_ROWS = (512, 1024, 2048)
Shapes = Sequence[tuple[int, int]]


def ceiling(plan: Plan, say: Say) -> list[Figure]:
    """Compare operations per second of training with those of bare multiplications."""
    figures: list[Figure] = []
    for name, label, model, least in (
        ("ceiling", "PPO 256/128/64, 10 epochs", batched("rwa"), LEAST),
        ("ceiling_preset", "PPO of the preset rwa", of_preset(load_preset("rwa")), None),
    ):
        say(label)
        figures += _compare(name, label, model, least, plan.turns)
    return figures


def operations(nets: Sequence[Shapes], epochs: int) -> float:
    """Return floating-point operations per step of PPO for networks of layers `(inputs, outputs)`."""
    forward = sum(2.0 * i * o for net in nets for i, o in net)
    backward = 2.0 * forward - sum(2.0 * net[0][0] * net[0][1] for net in nets)
    return epochs * (forward + backward) + forward


def _compare(name: str, label: str, model: Learner, least: float | None, turns: int) -> list[Figure]:
    assert isinstance(model, FastPPO)
    nets = [[(layer.in_features, layer.out_features) for layer in net.layers] for net in (model.actor, model.critic)]
    train, per_step = learning(model, 2), operations(nets, model.n_epochs)
    candidates = [_products(nets, rows) for rows in (*_ROWS, model.batch_size)]
    bare = max(candidates, key=lambda work: max(speed(work) for _ in range(3)))
    share = ratio(lambda: per_step * train(), bare, turns)
    clock = CLOCKS[CPU]
    words = f"{label}: share of the matrix-multiply ceiling"
    return [
        Figure(name, words, share.value, "%", least, share.low, share.high, clock),
        Figure(f"{name}_gflops", f"{label}: bare multiplications", share.slow / 1e9, "GFLOP/s", clock=clock),
        Figure(f"{name}_steps", f"{label}: steps at the ceiling", share.slow / per_step, "steps/s", clock=clock),
    ]


def _products(nets: Sequence[Shapes], rows: int) -> Work:
    """Return work that multiplies what an update of `rows` rows multiplies, about half a second long."""
    jobs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for net in nets:
        for index, (i, o) in enumerate(net):
            below, weight, slope = torch.randn(rows, i), torch.randn(o, i), torch.randn(rows, o)
            jobs.append((below, weight.T, torch.empty(rows, o)))
            jobs.append((slope.T, below, torch.empty(o, i)))
            if index:
                jobs.append((slope, weight, torch.empty(rows, i)))
    once = sum(2.0 * left.shape[0] * left.shape[1] * right.shape[1] for left, right, _ in jobs)
    times = max(1, round(4e10 / once))

    def work() -> float:
        for _ in range(times):
            for left, right, out in jobs:
                torch.mm(left, right, out=out)
        return once * times

    return work
