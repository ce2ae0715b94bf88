"""A node between the keeper and Anvil: passes on what it is asked; lies, swallows or trickles where a test says so."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

Answer = dict[str, Any]
Rule = Callable[[dict[str, Any], Callable[[], Answer]], Answer]
"""Takes the question and a function that asks Anvil; returns the answer."""


class Proxy:
    """Answers as Anvil does, except by a rule for a method.

    Attributes
    ----------
    rules
        By method.
    asked
        Methods, in the order in which they were asked.
    pause
        Seconds between two bytes of an answer, its headers included; 0 for an answer at once.
    """

    def __init__(self, upstream: str) -> None:
        self.rules: dict[str, Rule] = {}
        self.asked: list[str] = []
        self.pause = 0.0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # connections are kept

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                question = json.loads(body)
                method = question["method"]
                proxy.asked.append(method)

                def ask() -> Answer:
                    request = Request(upstream, body, {"Content-Type": "application/json"})
                    with urlopen(request, timeout=30) as response:
                        answer: Answer = json.loads(response.read())
                    return answer

                rule = proxy.rules.get(method)
                answer = ask() if rule is None else rule(question, ask)
                text = json.dumps({"jsonrpc": "2.0", "id": question["id"], **answer}).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                self._write(head.encode() + text)

            def _write(self, data: bytes) -> None:
                try:
                    if not proxy.pause:
                        self.wfile.write(data)
                    for index in range(len(data) if proxy.pause else 0):
                        self.wfile.write(data[index : index + 1])
                        time.sleep(proxy.pause)
                except OSError:  # the keeper hung up
                    self.close_connection = True

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def once(self, method: str, answer: Answer, where: Callable[[dict[str, Any]], bool] = lambda _: True) -> list[int]:
        """Answer the next question of a method (for which `where` holds) so; returns a list that is then not empty."""
        told: list[int] = []

        def rule(question: dict[str, Any], ask: Callable[[], Answer]) -> Answer:
            if told or not where(question):
                return ask()
            told.append(1)
            return answer

        self.rules[method] = rule
        return told


@contextmanager
def in_front_of(upstream: str) -> Iterator[Proxy]:
    """A proxy that runs."""
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
