"""The presets of the demo by name."""

from scripts.demonstration.preset import Preset
from scripts.demonstration.presets.lending import LENDING
from scripts.demonstration.presets.rwa import RWA_PRESET

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (LENDING, RWA_PRESET)}
