"""HTTP for the stand-in: requests to its API, and the health of its other servers."""

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.stand_ins.dolphinscheduler.api import BASE, Request, Response

Answer = Callable[[Request], Response]


def http_server(address: tuple[str, int], answer: Answer, base: str = BASE) -> http.server.ThreadingHTTPServer:
    """A server that answers below `base` as the function says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16

        def _answer(self) -> None:
            text = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                parts.path.removeprefix(base),
                dict(parse_qsl(text, keep_blank_values=True)),
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
            )
            response = answer(request)
            sent = b"" if response.body is None else json.dumps(response.body).encode()
            self.send_response(response.status)
            if sent:
                self.send_header("content-type", response.content_type)
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *args: Any) -> None:
            pass

    return http.server.ThreadingHTTPServer(address, Handler)


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[int]:
    """A loopback port on which requests are answered."""
    server = http_server(("127.0.0.1", 0), answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
