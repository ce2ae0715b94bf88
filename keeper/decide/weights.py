"""The chain boundary: fractions of NAV into the vault's integer weights, and what the vault will count for them."""

from __future__ import annotations

from fractions import Fraction

from agent.units import BoolArray, FloatArray
from keeper.snapshot import WAD, Snapshot

HOLD = 2**256 - 1
"""Weight that tells the vault to leave a position as it is."""


def chain_weights(target: FloatArray, traded: BoolArray, snapshot: Snapshot) -> tuple[int, ...]:
    """Turn fractions into the vault's integer weights, never over a cap or into the idle floor.

    Every weight is rounded down and bounded by both caps in exact integers. What a float sum may still carry over the
    budget (a few units in 1e18) is taken off the largest traded weight. A held position that is over its cap in exact
    integers is brought to it, since the vault would refuse the whole.

    Parameters
    ----------
    target
        `(n,)` admissible shares of NAV.
    traded
        `(n,)` false where the position is to be left as it is.
    snapshot
        For NAV, caps and what is held, in base units.

    Returns
    -------
    tuple of int
        WAD, or `HOLD`.
    """
    nav, strategies = snapshot.total_assets, snapshot.strategies
    most = [min(s.relative_cap, _wad_share(s.absolute_cap, nav)) for s in strategies]
    moves = [
        bool(move) or (s.live and s.assets > nav * cap // WAD)
        for move, s, cap in zip(traded, strategies, most, strict=True)
    ]
    weights = [
        min(int(Fraction(float(share)) * WAD), cap) if move else HOLD
        for share, move, cap in zip(target, moves, most, strict=True)
    ]
    held = sum(s.assets for s, move in zip(strategies, moves, strict=True) if not move)
    room = WAD - snapshot.limits.idle_floor - -(-(held + snapshot.unread_assets) * WAD // nav)
    excess = sum(weight for weight, move in zip(weights, moves, strict=True) if move) - room
    while excess > 0 and any(weight not in (0, HOLD) for weight in weights):
        largest = max((weight, index) for index, weight in enumerate(weights) if weight != HOLD)[1]
        cut = min(excess, weights[largest])
        weights[largest] -= cut
        excess -= cut
    return tuple(weights)


def chain_turnover(weights: tuple[int, ...], snapshot: Snapshot) -> int:
    """Return what the vault will take out of the turnover budget for these weights (WAD), in its own integers."""
    nav = snapshot.total_assets
    changes = [
        nav * weight // WAD - s.assets for weight, s in zip(weights, snapshot.strategies, strict=True) if weight != HOLD
    ]
    moved = max(sum(-min(change, 0) for change in changes), sum(max(change, 0) for change in changes))
    return -(-moved * WAD // max(nav, 1))


def _wad_share(assets: int, nav: int) -> int:
    """Return the largest weight whose `nav * weight / WAD`, rounded down, is at most `assets`."""
    return ((assets + 1) * WAD - 1) // nav
