"""What every part of the audit is: a function from its options to figures and notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Figure = float | int | None


class Say(Protocol):
    """What a part says its progress to."""

    def __call__(self, text: str, *, lasting: bool = False) -> None:
        """Show a line until the next one; for good where it is `lasting`."""


@dataclass(frozen=True)
class Options:
    """What the command line can change.

    Attributes
    ----------
    jobs
        Processes that work at once.
    mutants
        Size of the sample of mutants; None for all there are.
    seed
        Of the sample of mutants and of the invariants' campaigns: the same seed, the same audit.
    """

    jobs: int = 2
    mutants: int | None = 140
    seed: int = 1


@dataclass(frozen=True)
class Findings:
    """Result of a part.

    Attributes
    ----------
    figures
        By their names in `out/audit.json`. None where a figure could not be had: its target is missed.
    notes
        What a reader must know beside the figures: findings, counterexamples, survivors.
    details
        What goes into `out/audit.json` beside the figures.
    """

    figures: Mapping[str, Figure]
    notes: Sequence[str] = ()
    details: Mapping[str, object] = field(default_factory=dict)
