"""Configurations of detectors, names of the model zoo, and where its weights are published."""

from pathlib import Path

import pytest

from orn.shared.errors import DetectorError
from orn.stage1_detect.choose_detector import DEFAULT_CONFIG, weights_to_fetch
from orn.stage1_detect.mmdet.model import read_config
from orn.stage1_detect.mmdet.zoo import fetch_weights, find_config, weights_url
from tests.running import run_orn
from tests.worlds.videos import write_gray

pytestmark = pytest.mark.mmdet


def test_digest_is_that_of_the_network_and_the_test_pipeline(demo_config, tmp_path) -> None:
    same, other, copy = (tmp_path / f"{name}.py" for name in ("same", "other", "copy"))
    same.write_text(f"_base_ = {str(demo_config)!r}\nwork_dir = 'elsewhere'\n")
    other.write_text(f"_base_ = {str(demo_config)!r}\nmodel = dict(neck=dict(num_outs=5))\n")
    copy.write_text(demo_config.read_text())
    digests = {path.stem: read_config(path).digest for path in (demo_config, same, other, copy)}
    assert digests["same"] == digests["copy"] == digests["mask_rcnn_demo"]
    assert digests["other"] != digests["same"]
    assert digests["same"].startswith("sha256:")


@pytest.mark.parametrize(
    ("name", "near"),
    [("mask_rcnn", "mask-rcnn_"), ("yolo", "rtmdet-ins_tiny")],
)
def test_a_wrong_name_gets_near_ones_of_models_with_masks(name: str, near: str) -> None:
    with pytest.raises(DetectorError, match=near) as caught:
        find_config(name)
    assert "yolo" not in str(caught.value).partition("got neither")[2]


@pytest.mark.parametrize("name", ["metafile.yml", "base.yaml"])
@pytest.mark.parametrize("tag", ["object/apply:os.system ['touch done']", "name:os.system"])
def test_yaml_with_a_python_tag_is_refused(tmp_path, monkeypatch, demo_config, name, tag) -> None:
    monkeypatch.chdir(tmp_path)
    write_gray(tmp_path / "data" / "mini" / "a.mp4", 2)
    (tmp_path / "data" / "mini" / "labels.csv").write_text("video,label\na,x\n")
    run_orn("manifest", "new", "data/mini/labels.csv", "--data", "data")
    (tmp_path / name).write_text(f"Models: !!python/{tag}\n")
    base = str(demo_config) if name == "metafile.yml" else name
    (tmp_path / "own.py").write_text(f"_base_ = {base!r}\n")
    more = ("--dry-run",) if name == "metafile.yml" else ("--checkpoint", "own.py")
    words = ("detect", "mini.toml", "--data", "data", "--config", "own.py", *more)
    assert "python/" in run_orn(*words, exit_code=1).stderr
    assert not (tmp_path / "done").exists()


URL = "https://host/small-0123abcd.pth"


def test_the_default_detector_has_published_weights() -> None:
    path = find_config(DEFAULT_CONFIG)
    assert path.stem == DEFAULT_CONFIG
    url = weights_url(path)
    assert url is not None and url.endswith("20210524_201154-21b550bb.pth")
    assert weights_url(path.with_name("no-such-config.py")) is None
    assert weights_to_fetch(DEFAULT_CONFIG) == (None, url)


@pytest.mark.parametrize(
    ("metafile", "url"),
    [
        (f"Models: [{{Config: a/small.py, Weights: {URL}}}]", URL),
        (f"[{{Config: small.py, Weights: {URL}}}]", URL),
        (f"Models: [{{Config: large.py, Weights: {URL}}}]", None),
        *((text, None) for text in ("", "3", "Models: 3", "[3]", "[{Config: 3}]")),
    ],
)
def test_an_address_comes_from_the_metafile_beside_the_configuration(
    tmp_path: Path, metafile: str, url: str | None
) -> None:
    path = tmp_path / "small.py"
    assert weights_url(path) is None
    (tmp_path / "metafile.yml").write_text(metafile)
    assert weights_url(path) == url
    if url is None:
        with pytest.raises(DetectorError, match=r"detector small: .*metafile\.yml.*help yourself"):
            fetch_weights(path, remedy="help yourself")
