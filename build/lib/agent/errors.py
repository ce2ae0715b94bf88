"""Every error of the agent that a user can meet. Each message says what is wrong, where, and what to do next."""

from __future__ import annotations


class AgentError(Exception):
    """Base class: a command prints the message on one line and exits with 1."""


class ExtraMissingError(AgentError):
    """A command needs packages that the base install does not bring."""


class NotFiniteError(AgentError, ValueError):
    """Weights or amounts hold NaN where a number is needed."""


class ShapeError(AgentError, ValueError):
    """Arrays that describe the same portfolio disagree in shape."""


class LimitsError(AgentError, ValueError):
    """Limits that no vault could have, such as a cap above one."""


class LimitsFileError(LimitsError):
    """A limits file that is missing, is not TOML, or holds unknown or impossible entries."""


class ObservationError(AgentError, ValueError):
    """An observation cannot be made from what was given, for instance because time went backwards."""


class PresetError(AgentError, ValueError):
    """A training preset that is missing, is not TOML, or holds unknown or impossible entries."""


class DeviceError(AgentError):
    """The device that training was asked to run on is not there."""


class DivergedError(AgentError):
    """Training ran into numbers that are not finite. Nothing is written then."""


class CheckpointError(AgentError):
    """A training run cannot go on from this checkpoint: missing, damaged, or of another run."""


class PolicyError(AgentError):
    """A policy cannot be used. Nothing may trade on it."""


class UnknownPolicyError(PolicyError):
    """Neither a baseline's name nor a policy file."""


class PolicyFileError(PolicyError):
    """The manifest or the parameters are missing, truncated or malformed."""


class PolicyDigestError(PolicyError):
    """The parameters or the manifest are not those the digest was taken of."""


class PolicyVersionError(PolicyError):
    """The policy was made for another observation version."""


class PolicyShapeError(PolicyError):
    """The policy was made for another number of strategies, or its layers do not fit together."""


class PolicyMemoryError(PolicyError):
    """A policy with memory was asked without it, or with another's."""


class MarketDataError(AgentError, ValueError):
    """Market history that cannot be replayed or fitted."""


class DataFileError(MarketDataError):
    """The file cannot be opened or read as text."""


class EmptyDataError(MarketDataError):
    """The file holds no data rows."""


class MissingColumnError(MarketDataError):
    """A column that the format needs is not there."""


class UnknownMarketError(MarketDataError):
    """The file has no such market or network."""


class AmbiguousMarketError(MarketDataError):
    """A symbol stands for more than one market."""


class BadValueError(MarketDataError):
    """A cell is not the number or the date it must be."""


class DuplicateDateError(MarketDataError):
    """Two rows stand for the same day."""


class GapError(MarketDataError):
    """Days are missing between two rows."""


class RateRangeError(MarketDataError):
    """A rate is negative or absurdly high, most often because percent and fraction were mixed up."""


class TooFewDaysError(MarketDataError):
    """The history, or the window asked for, is shorter than what is needed."""


class WindowError(MarketDataError):
    """The window asked for lies outside the history."""


class LookAheadError(MarketDataError):
    """Something would be trained on that is only known after the test has begun."""


class ResultsError(AgentError):
    """Results of a walk-forward that are missing, incomplete, or of something else."""


class NotPromotedError(AgentError):
    """A policy did not pass the gate; the message names the baseline that should serve."""


class TasksError(AgentError):
    """Tasks that cannot be run, or that had to succeed and did not."""


class RayMissingError(TasksError):
    """A Ray cluster was asked for but Ray is not installed."""


class RayAddressError(TasksError, ValueError):
    """No Ray cluster that can be used answers at the address."""


class IntegerFormError(PolicyError):
    """A policy has no integer form: too large, not a plain ReLU network, or not of finite numbers."""


class SweepError(AgentError):
    """A search that cannot be run or resumed, or that found nothing."""
