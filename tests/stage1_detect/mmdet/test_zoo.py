"""Names of the model zoo, and where its weights are published."""

from pathlib import Path

import pytest

from orn.shared.errors import DetectorError
from orn.stage1_detect.mmdet.zoo import fetch_weights, find_config, weights_to_fetch, weights_url
from orn.stage1_detect.request import DEFAULT_CONFIG

pytestmark = pytest.mark.mmdet

URL = "https://host/small-0123abcd.pth"


def test_the_default_detector_has_published_weights() -> None:
    config = find_config(DEFAULT_CONFIG)
    assert config.stem == DEFAULT_CONFIG
    url = weights_url(config)
    assert url is not None and url.endswith("20210524_201154-21b550bb.pth")
    assert weights_url(config.with_name("no-such-config.py")) is None
    assert weights_to_fetch(config, remedy="help yourself") == (None, url)


@pytest.mark.parametrize(
    ("metafile", "url"),
    [
        pytest.param(f"Models: [{{Config: a/small.py, Weights: {URL}}}]", URL, id="models"),
        pytest.param(f"[{{Config: small.py, Weights: {URL}}}]", URL, id="a list"),
        pytest.param(f"Models: [{{Config: large.py, Weights: {URL}}}]", None, id="another"),
        pytest.param(f"Models: [{{Config: small.py, Weights: [{URL}]}}]", None, id="several"),
        pytest.param("Models: [{Config: small.py}]", None, id="no weights"),
        *(
            pytest.param(each, None, id=each)
            for each in ("", "3", "Models: 3", "[3]", "[{Config: 3}]")
        ),
    ],
)
def test_an_address_comes_from_the_metafile_beside_the_configuration(
    tmp_path: Path, metafile: str, url: str | None
) -> None:
    config = tmp_path / "small.py"
    assert weights_url(config) is None
    (tmp_path / "metafile.yml").write_text(metafile)
    assert weights_url(config) == url
    if url is None:
        with pytest.raises(DetectorError, match=r"detector small: .*metafile\.yml.*help yourself"):
            fetch_weights(config, remedy="help yourself")


def test_a_metafile_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "metafile.yml").write_text("Models: [")
    with pytest.raises(DetectorError, match=r"metafile\.yml: expected YAML"):
        weights_url(tmp_path / "small.py")
