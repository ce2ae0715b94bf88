"""A cycle's time, and the wish to stop it: whatever waits or signs looks here first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import inf

from keeper.errors import CycleTimeoutError, StoppedError


class Watch:
    """Tells when to give up. By default never.

    Parameters
    ----------
    stop
        Set it, from a signal's handler or another thread, and every wait ends at once.
    sleep
        Waits in place of the clock's time: a simulation lets its chain go on.
    """

    def __init__(self, stop: threading.Event | None = None, sleep: Callable[[float], object] | None = None) -> None:
        self._stop = stop or threading.Event()
        self._sleep = sleep or self._stop.wait
        self._end = inf

    def start(self, seconds: float) -> None:
        """Begin a cycle that may take so long."""
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left of the cycle."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Go on, or not.

        Raises
        ------
        StoppedError
            When somebody wants the cycle to stop.
        CycleTimeoutError
            When its time is over.
        """
        if self._stop.is_set():
            raise StoppedError("Told to stop in the middle of a cycle: nothing more is signed. The next start goes on.")
        if not self.left():
            raise CycleTimeoutError(
                "The cycle took longer than cycle_timeout_seconds. The next one goes on; if it persists, use a quicker "
                "node."
            )

    def pause(self, seconds: float) -> None:
        """Wait, at most to the end of the cycle; raises as `check` does."""
        self._sleep(min(seconds, self.left()))
        self.check()
