"""The rules that a policy of an environment is compared with."""

from agent.policies.load import load_policy
from agent.policies.rules import SingleAsset
from agent.training.preset import load_preset
from agent.vault.limits_file import LimitsFile
from scripts.demonstration.preset import Rule
from scripts.errors import ScriptError


def rules_of(training: str, limits: LimitsFile) -> dict[str, Rule]:
    """Return equal weight, holding, each venue alone, and the mix of the warm start, best of those that were tried.

    Parameters
    ----------
    training
        Training preset, whose warm start imitates a mix.
    limits
        Of the vault; its strategies name the venues.

    Raises
    ------
    ScriptError
        When the preset's warm start is no mix.
    """
    from agent.training.imitate import Mix  # takes seconds: it imports torch

    preset = load_preset(training)
    start = preset.warm_start
    if start is None or start.rule != "mix":
        raise ScriptError(f"The training preset {training} begins with no mix: say which rule is the best one known.")
    mix = Mix(start.weights, preset.env_config(limits.limits()), start.leave_lost_pegs)
    plain = {name: load_policy(name).act for name in ("equal-weight", "hold")}
    alone = {name: SingleAsset(position).act for position, name in enumerate(limits.names)}
    return {**plain, **alone, "mix": mix.act}
