"""The loop: one bounded cycle after another, until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from keeper.errors import AttentionError, TransientError
from keeper.result import CycleResult

FIRST_BACKOFF, LONGEST_BACKOFF = 5.0, 300.0

log = structlog.get_logger("keeper")


def repeat(
    cycle: Callable[[], CycleResult],
    interval: float,
    stop: threading.Event,
    report: Callable[[CycleResult], None] | None = None,
) -> None:
    """Repeat the cycle until told to stop; a cycle that has begun is finished.

    Parameters
    ----------
    cycle
        `Keeper.cycle`, live or not.
    interval
        Seconds between two cycles; after a passing trouble the next comes sooner.
    stop
        Set it to end the loop.
    report
        Told every cycle's result.

    Raises
    ------
    FatalError
        When nothing can be right until somebody changes the set-up.
    """
    backoff = FIRST_BACKOFF
    while not stop.is_set():
        pause = interval
        try:
            result = cycle()
            backoff = FIRST_BACKOFF
            if report is not None:
                report(result)
            if not result.succeeded:
                log.error(result.reason, outcome=result.outcome)
            if result.outcome == "pending":
                pause = min(pause, FIRST_BACKOFF)
        except TransientError as error:
            pause, backoff = min(pause, backoff), min(2 * backoff, LONGEST_BACKOFF)
            log.warning(str(error), kind=type(error).__name__, retry_in_seconds=pause)
        except AttentionError as error:
            log.error(str(error), kind=type(error).__name__, next_try_in_seconds=pause)  # noqa: TRY400  no stack traces
        stop.wait(pause)
