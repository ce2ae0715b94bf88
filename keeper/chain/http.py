"""HTTP with a deadline for the whole request. A client that counts from byte to byte waits for ever on a trickle.

The requests run on a loop in a thread of their own, so that whoever waits for one can look up and give up.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from concurrent.futures import wait
from functools import cache
from typing import Any

import aiohttp

from keeper.watch import Watch

LOOK_UP = 0.1  # seconds between two looks at the watch
THREAD = "keeper-http"


class Http:
    """Connections to one address, which are kept open between requests.

    Parameters
    ----------
    url
        http(s) address; never shown.
    timeout
        Seconds for a whole request, from the name's look-up to the last byte.
    watch
        Bounds a request too, and interrupts it.
    """

    def __init__(self, url: str, timeout: float, watch: Watch) -> None:
        self._url = url
        self._timeout = timeout
        self._watch = watch
        self._sessions: list[aiohttp.ClientSession] = []
        weakref.finalize(self, _close, self._sessions)

    def post(self, question: object, *, once: bool = False) -> Any:
        """Return the answer, parsed from JSON.

        Parameters
        ----------
        once
            Whether nobody will ask again if there is no answer. It then gets a connection of its own: one that was kept
            may have been closed at the other end.

        Raises
        ------
        TimeoutError, aiohttp.ClientError
            When there is none.
        ValueError
            When it is not JSON.
        """
        self._watch.check()
        request = asyncio.run_coroutine_threadsafe(
            self._post(question, min(self._timeout, self._watch.left()), once), _loop()
        )
        try:
            while not wait([request], LOOK_UP).done:
                self._watch.check()
        finally:
            request.cancel()  # no effect on one that is done
        return request.result()

    async def _post(self, question: object, seconds: float, once: bool) -> Any:
        if once:
            async with _session() as session:
                return await self._ask(session, question, seconds)
        if not self._sessions:
            self._sessions.append(_session())
        return await self._ask(self._sessions[0], question, seconds)

    async def _ask(self, session: aiohttp.ClientSession, question: object, seconds: float) -> Any:
        async with session.post(self._url, json=question, timeout=aiohttp.ClientTimeout(total=seconds)) as response:
            return await response.json(content_type=None)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(trust_env=True, raise_for_status=True)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Start the loop of all requests."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=THREAD, daemon=True).start()
    return loop


def _close(sessions: list[aiohttp.ClientSession]) -> None:
    for session in sessions:
        closing = asyncio.run_coroutine_threadsafe(session.close(), _loop())
        if threading.current_thread().name != THREAD:  # the collector may run in any, also in the loop's own
            wait([closing], 1.0)
