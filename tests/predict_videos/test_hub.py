"""Models that go to the Hugging Face Hub and come from it: a server on this machine, no network."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orn import load_model
from tests.predict_videos.conftest import Trained, call
from tests.predict_videos.hub_server import LocalHub, local_hub

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub (extra hub)")

ADDRESS = "hf://someone/a-model"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub, and an empty cache."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with local_hub() as started:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", started.endpoint)
        template = started.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
        yield started


def test_a_model_goes_there_and_comes_back(
    trained: Trained, hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    result = call("export", trained.run, out, "--push", "someone/a-model", "--private", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["url"] == f"{hub.endpoint}/someone/a-model"
    assert hub.name == "someone/a-model"
    assert hub.private is True
    assert set(hub.files) == {"config.json", "model.safetensors", "README.md"}
    assert hub.files["model.safetensors"] == (out / "model.safetensors").read_bytes()
    hub.files["evil.py"] = b"raise SystemExit"

    (video, *_) = trained.videos.values()
    more = (video, "--shards", trained.shards, "--json", "--device", "cpu")
    found = call("predict", ADDRESS, *more)
    assert found.exit_code == 0, found.stderr
    assert found.stdout == call("predict", trained.run, *more).stdout
    assert not list((tmp_path / "cache").rglob("evil.py"))

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub.requests.clear()
    assert load_model(f"{ADDRESS}@main", device="cpu").classes == ("right", "down")
    assert hub.requests == []
    manifest = trained.run.parent / "tiny.toml"
    data = ["--data", trained.data, "--shards", trained.shards, "--clips", trained.clips]
    options = ["--workers", "0", "--device", "cpu", "--json"]
    measured = call("eval", ADDRESS, "--dataset", manifest, *data, *options)
    assert measured.exit_code == 0, measured.stderr
    own = json.loads((trained.run / "eval-validation.json").read_text())
    assert json.loads(measured.stdout)["two_heads"] == own["two_heads"]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("hf://someone/absent", "hf://someone/absent: the hub or the library refused: "),
        ("hf://someone", "wanted hf://ORG/NAME or hf://ORG/NAME@REVISION"),
        ("hf://../../etc/x", "wanted hf://ORG/NAME"),
        ("hf://a/b@../x", "wanted hf://ORG/NAME"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(hub: LocalHub, place: str, says: str) -> None:
    result = call("predict", place, "film.mp4", "--device", "cpu", "--rate", "1")
    assert result.exit_code in (1, 2)
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_hub_that_is_away_is_said(
    hub: LocalHub, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    result = call("export", trained.run, tmp_path / "out", "--push", "someone/a-model")
    assert result.exit_code == 1
    assert "--push someone/a-model: the hub or the library refused: " in result.stderr


@pytest.mark.parametrize("command", ["predict", "export"])
def test_the_extra_is_named_where_it_is_absent(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    arguments = {
        "predict": ("predict", ADDRESS, "film.mp4"),
        "export": ("export", trained.run, tmp_path / "out", "--push", "someone/a-model"),
    }[command]
    result = call(*arguments)
    assert result.exit_code == 2
    assert "pip install 'object-relation-network[hub]'" in result.stderr
    assert not (tmp_path / "out").exists()


def test_usage(trained: Trained, tmp_path: Path) -> None:
    result = call("export", trained.run, tmp_path / "out", "--push", "no-org")
    assert result.exit_code == 2
    assert "wanted ORG/NAME" in result.stderr
    result = call("export", trained.run, tmp_path / "out", "--private")
    assert result.exit_code == 2
