"""What the Hugging Face Hub answers to the requests of huggingface_hub, for one repository, on this
machine."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.local_server import QuietHandler, serving

_COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass(slots=True, kw_only=True)
class LocalHub:
    """One repository."""

    endpoint: str = ""
    name: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    private: bool = False

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, object, dict[str, str]]:
        """Status, body (JSON, or bytes), headers."""
        self.requests.append(f"{method} {path}")
        path = path.partition("?")[0]
        if path == "/api/repos/create":
            asked = json.loads(body)
            self.name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            self.private = asked.get("visibility", asked.get("private")) in ("private", True)
            return 200, {"url": f"{self.endpoint}/{self.name}", "name": self.name}, {}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        own = f"/api/models/{self.name}"
        if self.name and path == f"{own}/preupload/main":
            return 200, {"files": [_mode(each) for each in json.loads(body)["files"]]}, {}
        if self.name and path == f"{own}/commit/main":
            self._commit([json.loads(line) for line in body.splitlines()])
            address = f"{self.endpoint}/{self.name}/commit/{_COMMIT}"
            return 200, {"commitUrl": address, "commitOid": _COMMIT, "success": True}, {}
        if self.name and path in (own, f"{own}/revision/main", f"{own}/revision/{_COMMIT}"):
            siblings = [{"rfilename": name} for name in self.files]
            found = {"id": self.name, "modelId": self.name, "sha": _COMMIT, "siblings": siblings}
            return 200, {**found, "private": False, "tags": [], "downloads": 0}, {}
        if self.name and path == f"{own}/tree/{_COMMIT}":
            return 200, [_entry(name, data) for name, data in self.files.items()], {}
        resolved = f"/{self.name}/resolve/{_COMMIT}/"
        if self.name and path.startswith(resolved) and path[len(resolved) :] in self.files:
            data = self.files[path[len(resolved) :]]
            etag = f'"{hashlib.sha1(data, usedforsecurity=False).hexdigest()}"'
            return 200, data, {"ETag": etag, "X-Repo-Commit": _COMMIT}
        return 404, {"error": "not here"}, {"X-Error-Code": "RepoNotFound"}

    def _commit(self, lines: list[dict]) -> None:
        for line in lines:
            if line["key"] == "file":
                value = line["value"]
                assert value["encoding"] == "base64"
                self.files[value["path"]] = base64.b64decode(value["content"])


def _mode(asked: dict) -> dict:
    return {"path": asked["path"], "uploadMode": "regular", "shouldIgnore": False}


def _entry(name: str, data: bytes) -> dict:
    digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return {"type": "file", "path": name, "size": len(data), "oid": digest}


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """The hub while the block runs."""
    hub = LocalHub()

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, found, headers = hub.answer(self.command, self.path, body)
            data = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_HEAD = _answer

    with serving(Handler) as hub.endpoint:
        yield hub
