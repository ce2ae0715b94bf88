"""The demo of lending markets: ninety days of rates on three Aave V3 markets, and a strategy that is robbed."""

from pathlib import Path
from typing import Any

from agent.policies.load import load_policy
from agent.units import WAD
from agent.vault.limits_file import LimitsFile
from keeper.cycle import Keeper
from scripts.demonstration.preset import Preset, Rule, Tracking
from scripts.demonstration.series import Series
from scripts.demonstration.stage import Stage
from scripts.demonstration.stress import Disaster, steal
from scripts.protocols.aave import ETH_PRICE
from scripts.protocols.anvil import mine_at
from scripts.protocols.borrower import follow_supply_rate
from scripts.protocols.devnet import Devnet

BASE_FEE = 10**9  # wei
SEVERITY = 1.5  # the loss, in units of the drawdown limit


class LendingWorld:
    """Borrowers who move the markets' rates along the series."""

    def __init__(self, devnet: Devnet, series: Series) -> None:
        self.tracking = Tracking()
        self._w3, self._path = devnet.w3, series.path
        self._markets = tuple(devnet.markets[name] for name in series.path.names)

    def prepare(self) -> None:
        """Leave the markets as they are: the rates of the first day come with the first move."""

    def move(self, row: int, time: int) -> None:
        """Bring the markets to the rates of a row at once: the time until the keeper wakes passes at these."""
        for market, target in zip(self._markets, self._path.rates[0, row], strict=True):
            move = follow_supply_rate(market, float(target), clamp=True)
            self.tracking.note(move.relative_error, move.clamped)
        mine_at(self._w3, time, BASE_FEE)

    def rates(self, row: int) -> tuple[float, ...]:
        """Return those of the series; the markets publish what they reached."""
        return tuple(float(rate) for rate in self._path.rates[0, row])

    def native_price(self, row: int) -> float:
        """Return the price of ETH in the markets' oracles."""
        return float(ETH_PRICE)

    def told(self, stage: Stage) -> dict[str, Any]:
        """Return the price of ETH."""
        return {"native_price": float(ETH_PRICE)}

    def strike(self, stage: Stage, keeper: Keeper) -> Disaster:
        """Take aTokens out of the largest position, as an exploit of its contract would: Aave's code moves them."""
        snapshot = stage.snapshot()
        index = max(range(len(stage.names)), key=lambda i: snapshot.strategies[i].assets)
        wanted = int(SEVERITY * snapshot.limits.max_drawdown * snapshot.nav) // WAD
        loot = min(wanted, snapshot.strategies[index].assets)
        victim = stage.deployment.strategies[index].address
        steal(stage.devnet, self._markets[index].a_token, victim, loot)
        return Disaster((f"{loot / 1e6:,.0f} USDC are stolen from {stage.names[index]}",))


def rules_of(limits: LimitsFile) -> dict[str, Rule]:
    """Return the baselines."""
    return {name: load_policy(name).act for name in ("equal-weight", "hold", "greedy")}


LENDING = Preset(
    name="lending",
    what="three Aave V3 markets",
    protocols="Aave V3 and Uniswap V3 from their real bytecode",
    training="demo",
    limits=Path("scripts/limits.toml"),
    deposits={"alice": 5_000_000, "bob": 3_000_000, "carol": 2_000_000},
    unit="day",
    steps=90,
    world=LendingWorld,
    rules=rules_of,
    disaster="a strategy is robbed",
)
