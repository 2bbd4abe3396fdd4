"""A registry of one image that everyone may pull: for a node that has to start a pod before any registry is there."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from controlplane.image import Image, digest
from controlplane.part import Part

_BLOB_TYPE = "application/octet-stream"


class ImageServer(Part):
    """It runs in threads of this process; a context manager that stops it at the end."""

    def __init__(self, image: Image) -> None:
        """Serve the image on a free port of loopback."""
        contents = {digest(blob): (blob, _BLOB_TYPE) for blob in image.blobs}
        contents |= dict.fromkeys(("1", image.digest), (image.manifest, image.media_type))
        handler = type("Handler", (_Handler,), {"contents": contents})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.reference = f"127.0.0.1:{self._server.server_port}/image:1"
        threading.Thread(
            target=self._server.serve_forever, name="image-server", daemon=True
        ).start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    contents: dict[str, tuple[bytes, str]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with what the last part of the path names."""
        body, kind = self.contents.get(self.path.partition("?")[0].rpartition("/")[2], (b"", ""))
        self.send_response(200 if kind or self.path == "/v2/" else 404)
        self.send_header("Content-Type", kind or _BLOB_TYPE)
        self.send_header("Content-Length", str(len(body)))
        if kind:
            self.send_header("Docker-Content-Digest", digest(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what a node pulls is in its own log."""
