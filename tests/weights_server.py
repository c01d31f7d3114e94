"""A server of weights on this machine, with what goes wrong on the way."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(slots=True, kw_only=True)
class WeightsServer:
    """Files by their names, and the names that were asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    """What a silent file waits for."""

    def publish(self, content: bytes, *, name: str = "network") -> str:
        """Offers a file under a name that ends in its hash; its address."""
        digits = hashlib.sha256(content).hexdigest()[:8]
        file = f"{name}-{digits}.pth"
        self.files[file] = content
        return f"{self.address}/{file}"

    def publish_detector(self, base: Path, weights: Path, *, folder: Path) -> Path:
        """Offers a detector's weights; a configuration made of `base`, with a metafile beside it
        that says where they are."""
        config = folder / "small.py"
        folder.mkdir()
        config.write_text(f"_base_ = {str(base)!r}\n")
        url = self.publish(weights.read_bytes())
        entry = f"- {{Name: small, Config: configs/zoo/small.py, Weights: '{url}'}}"
        config.with_name("metafile.yml").write_text(f"Models:\n{entry}\n")
        return config


@contextmanager
def weights_server() -> Iterator[WeightsServer]:
    """The server while the block runs.

    Below `/moved/` a file is elsewhere, `/cut/` it breaks off in the middle, `/other/` has other
    bytes, and `/silent/` says nothing before it is released.
    """
    offered = WeightsServer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            folder, _, name = self.path.rpartition("/")
            offered.requests.append(self.path)
            content = offered.files.get(name)
            if folder == "/silent":
                offered.released.wait()
            if content is None:
                self.send_error(404)
                return
            if folder == "/moved":
                self.send_response(302)
                self.send_header("Location", f"{offered.address}/{name}")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            sent = {"/cut": content[: len(content) // 2], "/other": content[::-1]}
            with suppress(ConnectionError):  # whoever asked may have gone
                self.wfile.write(sent.get(folder, content))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    offered.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield offered
    finally:
        offered.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
