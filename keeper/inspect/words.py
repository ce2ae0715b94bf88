"""The chain's numbers in plain words: shares, spans of time, money, moments."""

import re
from datetime import UTC, datetime

from agent.units import DAY, HOUR, WAD, WEEK
from agent.vault import limits
from agent.vault.limits import NO_CAP

_UNITS = {"s": 1, "m": 60, "h": HOUR, "d": DAY, "w": WEEK}


def percent(wad: int) -> str:
    """Return a WAD share as `2.5 %`."""
    return limits.percent(wad / WAD)


def parse_span(text: str) -> int:
    """Return the seconds of `172800`, `48h`, `2d` or `1d12h`; raises `ValueError` when it is none of these."""
    if text.isdigit():
        return int(text)
    parts = re.findall(r"(\d+)([smhdw])", text)
    if not parts or "".join(count + unit for count, unit in parts) != text:
        raise ValueError(f"{text!r} is no span of time: write seconds, or 2d, 36h, 90m")
    return sum(int(count) * _UNITS[unit] for count, unit in parts)


def moment(timestamp: int) -> str:
    """Return a timestamp as `2026-11-21 02:30:00 UTC`."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def money(amount: int, decimals: int, symbol: str) -> str:
    """Return base units as `1,234.5 USDC`, exact."""
    whole, rest = divmod(amount, 10**decimals)
    fraction = f".{rest:0{decimals}d}".rstrip("0") if rest else ""
    return f"{whole:,}{fraction} {symbol}"


def caps(relative: int, absolute: int, decimals: int, symbol: str) -> str:
    """Return the two caps of a strategy as `at most 60 % of the vault and at most 5 USDC`."""
    cap = f"at most {percent(relative)} of the vault"
    return cap if absolute >= NO_CAP else f"{cap} and at most {money(absolute, decimals, symbol)}"
