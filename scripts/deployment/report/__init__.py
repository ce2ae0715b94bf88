"""A `VaultState` in plain words, as a depositor reads it, and as JSON."""

from scripts.deployment.report.alarms import alarms
from scripts.deployment.report.as_json import to_json
from scripts.deployment.report.calls import describe
from scripts.deployment.report.sections import limit_lines, lines, role_lines

__all__ = ["alarms", "describe", "limit_lines", "lines", "role_lines", "to_json"]
