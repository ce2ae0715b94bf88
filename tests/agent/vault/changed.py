"""Limits of which one number at a time is changed: whoever keeps limits must see every one of them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from agent.vault.bucket import Budget
from agent.vault.limits import Limits

LIMITS = Limits(
    relative_caps=np.array([0.6, 0.5, 0.4]),
    absolute_caps=np.array([5e7, np.inf, 1e6]),
    idle_floor=0.02,
    max_drawdown=0.1,
    max_growth_rate=0.25,
    cooldown=3600.0,
    max_silence=86_400.0,
    loss_budget=Budget(0.005, 0.001),
    turnover_budget=Budget(2.0, 1.0),
    performance_fee=0.1,
    unwind_loss=0.01,
    deposit_cap=1e9,
)


def changed() -> dict[str, Limits]:
    """Return `LIMITS` with nine tenths of one number, by the path of that number; new fields are among them."""
    return {
        f"{field.name}{where}": replace(LIMITS, **{field.name: value})
        for field in fields(Limits)
        for where, value in _changed(getattr(LIMITS, field.name))
    }


def _changed(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Budget):
        names = [field.name for field in fields(value)]
        return [(f".{name}", replace(value, **{name: 0.9 * getattr(value, name)})) for name in names]
    if isinstance(value, tuple):  # groups, of which there are none here
        return []
    if isinstance(value, np.ndarray):
        finite = np.flatnonzero(np.isfinite(value))
        return [(f"[{at}]", np.where(np.arange(value.size) == at, 0.9 * value, value)) for at in finite]
    return [("", 0.9 * value)]
