"""Logging: structured lines on stderr. Programs that use the keeper in-process choose how much of it they want."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure(*, as_json: bool = False, level: str = "info") -> None:
    """Send the keeper's log to stderr, for people or (`as_json`) for machines, from a level upwards."""
    renderer: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
            structlog.processors.JSONRenderer() if as_json else renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
