"""Models that go to the Hugging Face Hub and come from it: a server on this machine, no network."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orn import load_model
from tests.local_server import QuietHandler, serving
from tests.orn.predict.conftest import Trained, evaluate_as_new
from tests.running import run_orn

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub (extra hub)")

NAME = "someone/a-model"
ADDRESS = f"hf://{NAME}"


COMMIT = "c0ffee" * 6 + "c0ff"


def digest_of(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


class LocalHub(QuietHandler):
    """What the Hub answers huggingface_hub, for one repository."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    requests: list[str]

    def repository(self, path: str) -> object:
        """JSON, the bytes of a file, or None where nothing is."""
        own = f"/api/models/{NAME}"
        if path in (own, f"{own}/revision/main", f"{own}/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in self.files]
            repository = {"id": NAME, "modelId": NAME, "sha": COMMIT, "siblings": siblings}
            return repository | {"private": False, "tags": [], "downloads": 0}
        if path == f"{own}/tree/{COMMIT}":
            return [
                {"type": "file", "path": name, "size": len(data), "oid": digest_of(data)}
                for name, data in self.files.items()
            ]
        return self.files.get(path.removeprefix(f"/{NAME}/resolve/{COMMIT}/"))

    def _answer(self) -> None:
        self.requests.append(self.path)
        answer = self.repository(self.path.partition("?")[0])
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(404 if answer is None else 200)
        headers = {"ETag": f'"{digest_of(data)}"', "X-Repo-Commit": COMMIT}
        for name, value in headers.items() if answer is not None else ():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = _answer


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[LocalHub]]:
    """A hub, and an empty cache."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    started = type("OwnHub", (LocalHub,), {"files": {}, "requests": []})
    with serving(started) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
        yield started


def test_a_model_predicts_and_is_measured_as_where_it_was_exported(
    trained: Trained, hub: type[LocalHub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_orn("export", trained.run, tmp_path / "out")
    hub.files.update({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    hub.files["evil.py"] = b"raise SystemExit"
    (video, *_) = trained.videos.values()
    more = (video, "--shards", trained.shards, "--json", "--device", "cpu")
    assert (
        run_orn("predict", ADDRESS, *more).stdout == run_orn("predict", trained.run, *more).stdout
    )
    assert not list((tmp_path / "cache").rglob("evil.py"))

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub.requests.clear()
    assert load_model(f"{ADDRESS}@main", device="cpu").classes == ("right", "down")
    assert hub.requests == []
    measured = evaluate_as_new(trained, ADDRESS).json
    own = json.loads((trained.run / "eval-validation.json").read_text())
    assert measured["two_heads"] == own["two_heads"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("hf://someone/absent", "hf://someone/absent"),
        ("hf://../../etc/x", "hf://ORG/NAME"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_is_not_there_is_named_in_a_line(place: str, message: str) -> None:
    words = (place, "film.mp4", "--device", "cpu", "--rate", "1")
    result = run_orn("predict", *words, exit_code=None)
    assert result.exit_code in (1, 2)
    (line,) = result.stderr.strip().splitlines()
    assert message in line
