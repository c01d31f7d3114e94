"""Weights fetched from a server of this machine: a file in the cache is whole or absent."""

import logging
from pathlib import Path

import pytest

from orn.shared.download import cache_folder, cached_path, fetch
from orn.shared.errors import DetectorError
from tests.weights_server import WeightsServer

CONTENT = bytes(range(256)) * 2000


def get(url: str, **options: float) -> Path:
    return fetch(url, what="weights", remedy="help yourself", error=DetectorError, **options)


def left() -> list[Path]:
    """Everything in the cache."""
    return sorted(cache_folder().glob("*")) if cache_folder().exists() else []


def test_a_file_is_fetched_once(weights_host, capfd, caplog) -> None:
    caplog.set_level(logging.INFO)
    url = weights_host.publish(CONTENT)
    path = get(url)
    assert path == cached_path(url)
    assert path.read_bytes() == CONTENT
    assert url in caplog.text
    assert get(url) == path
    assert len(weights_host.requests) == 1
    assert left() == [path]
    assert capfd.readouterr() == ("", "")  # no bar without a terminal


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        pytest.param("/cut", "truncated", id="breaks off in the middle"),
        pytest.param("/other", "not the expected file", id="other bytes"),
        pytest.param("/moved/absent", "404", id="not there"),
        pytest.param("/silent", "timed out", id="says nothing"),
    ],
)
def test_what_does_not_arrive_whole_is_absent(weights_host, monkeypatch, folder, reason) -> None:
    monkeypatch.setattr("orn.shared.download._TIMEOUT_SECONDS", 0.2)
    name = weights_host.publish(CONTENT).rpartition("/")[2]
    url = f"{weights_host.address}{folder}/{name}"
    if reason == "404":
        weights_host.files.clear()
    with pytest.raises(DetectorError) as refused:
        get(url)
    message = str(refused.value)
    for part in ("weights: ", url, reason, str(cache_folder()), "or help yourself"):
        assert part in message
    assert "\n" not in message
    assert left() == []
    weights_host.files[name] = CONTENT
    assert get(f"{weights_host.address}/moved/{name}").read_bytes() == CONTENT
    assert weights_host.requests[-2:] == [f"/moved/{name}", f"/{name}"]


def test_a_damaged_file_in_the_cache_is_named(weights_host: WeightsServer) -> None:
    url = weights_host.publish(CONTENT)
    path = get(url)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DetectorError, match=rf"{path}: .* remove the file"):
        get(url)
    path.unlink()
    assert get(url).read_bytes() == CONTENT


def test_a_name_without_a_hash_is_not_fetched(weights_host: WeightsServer) -> None:
    weights_host.files["network_v1-0.5.pth"] = CONTENT
    with pytest.raises(DetectorError, match=r"SHA-256.*network_v1-0\.5\.pth.*help yourself"):
        get(f"{weights_host.address}/network_v1-0.5.pth")
    assert weights_host.requests == []


def test_a_file_that_would_fill_the_disk_is_refused(weights_host, monkeypatch) -> None:
    monkeypatch.setattr("orn.shared.download._MOST_BYTES", len(CONTENT) - 1)
    with pytest.raises(DetectorError, match="expected at most"):
        get(weights_host.publish(CONTENT))
    assert left() == []
