"""The presets of the demo by name."""

from scripts.demonstration.preset import Preset
from scripts.demonstration.presets.defi import DEFI_PRESET
from scripts.demonstration.presets.lending import LENDING
from scripts.demonstration.presets.rwa import RWA_PRESET

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (LENDING, DEFI_PRESET, RWA_PRESET)}
