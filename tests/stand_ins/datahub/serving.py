"""HTTP for the stand-in for DataHub: answers are a function of the request."""

import dataclasses
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str
    """Without the query, not decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def parts(self) -> list[str]:
        """The path's parts, each decoded."""
        return [unquote(part) for part in self.path.strip("/").split("/")]


Answer = tuple[int, Any]
"""Status, and what is sent as JSON (nothing when None)."""
Answerer = Callable[[Request], Answer]


def server(answer: Answerer, port: int, address: str = "") -> http.server.ThreadingHTTPServer:
    """A server that has not been started. What goes wrong inside is answered with 500 and the reason."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # one packet for each answer

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            url = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                status, content = answer(Request(self.command, url.path, query, headers, body))
            except Exception as error:
                status, content = 500, {"error": f"{type(error).__name__}: {error}"}
            sent = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(sent)

        do_GET = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *args: Any) -> None:
            pass

    return http.server.ThreadingHTTPServer((address, port), Handler)


@contextmanager
def serving(answer: Answerer) -> Iterator[int]:
    """A loopback port on which each request is answered as the function says."""
    running = server(answer, 0, "127.0.0.1")
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running.server_address[1]
    finally:
        running.shutdown()
        thread.join()
        running.server_close()
