"""A preset of the demo: the outsiders around the vault, the days, the bad day, and what is compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from agent.observation.observe import CHAIN, Observation
from agent.units import FloatArray
from agent.vault.limits_file import LimitsFile
from keeper.conversion import Leg
from keeper.cycle import Keeper
from scripts.demonstration.series import Series
from scripts.demonstration.stage import Stage
from scripts.demonstration.stress import Disaster
from scripts.protocols.devnet import Devnet

Rule = Callable[[Observation], FloatArray]
"""From an observation to wanted weights `(B, n)`."""


@dataclass
class Tracking:
    """How near the chain came to the series: the largest relative error, and the count of what was out of reach."""

    error: float = 0.0
    clamped: int = 0

    def note(self, error: float, clamped: bool = False) -> None:
        """Take in one target; one that was out of reach is counted, and is no error."""
        self.clamped += clamped
        if not clamped:
            self.error = max(self.error, error)


class World(Protocol):
    """Outsiders who bring a devnet to the rows of a series, one after the other."""

    @property
    def tracking(self) -> Tracking:
        """How near they came."""

    def prepare(self) -> None:
        """Bring the devnet to the first row, before there is a vault."""

    def move(self, row: int, time: int) -> None:
        """Bring the chain to a row; its newest block is then at a time in Unix seconds, when the keeper wakes."""

    def rates(self, row: int) -> tuple[float, ...]:
        """APR that the keeper is told at a row of strategies that publish none; the series' own of the others."""

    def native_price(self, row: int) -> float:
        """Asset units per native coin at a row."""

    def told(self, stage: Stage) -> Mapping[str, Any]:
        """Entries of the keeper's configuration: the native coin's price, quotes and rates."""

    def strike(self, stage: Stage, keeper: Keeper) -> Disaster:
        """Let the disaster of the bad day happen, while the keeper goes on."""


@dataclass(frozen=True)
class Preset:
    """A demonstration.

    Attributes
    ----------
    name
        Also the devnet's preset.
    what
        What the vault is over, for titles.
    protocols
        What stands around it, and how real that is.
    training
        Preset of the training.
    limits
        The vault's limits file.
    deposits
        Role -> whole USDC.
    unit
        Word for a step.
    steps
        Number of them, by default.
    world
        From devnet and series to the outsiders.
    rules
        From names of the strategies and limits to the rules to compare with, by name; the last is the best known.
    disaster
        Words for the bad day.
    costs
        What trades cost, by venue, as keeper and rules are told; nothing where none is named.
    version
        Observation that policy and rules are shown.
    by_price
        Whether the picture shows share prices in place of rates.
    """

    name: str
    what: str
    protocols: str
    training: str
    limits: Path
    deposits: Mapping[str, int]
    unit: str
    steps: int
    world: Callable[[Devnet, Series], World]
    rules: Callable[[LimitsFile], Mapping[str, Rule]]
    disaster: str
    costs: Mapping[str, Leg] = field(default_factory=dict)
    version: str = CHAIN
    by_price: bool = False

    @property
    def rows_file(self) -> str:
        """Name of the file with a row per step."""
        return f"{self.unit}s.csv"
