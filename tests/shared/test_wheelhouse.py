"""Wheels for a machine without a network: those that it lacks, and no others."""

import zipfile
from pathlib import Path

import pytest

from orn.shared.errors import ConfigError
from orn.shared.wheelhouse import installed_there, make_wheelhouse, platforms


def test_an_older_glibc_counts_too() -> None:
    found = platforms("manylinux_2_18_x86_64")
    assert found[0] == "manylinux_2_18_x86_64"
    assert "manylinux_2_17_x86_64" in found
    assert "manylinux2014_x86_64" in found
    assert "manylinux_2_19_x86_64" not in found
    assert platforms("macosx_14_0_arm64") == ("macosx_14_0_arm64",)


def test_versions_there_are_read_without_their_local_part(tmp_path: Path) -> None:
    listed = tmp_path / "there.txt"
    listed.write_text("# of the cluster\ntorch==2.11.0+cu130\nOpenCV_Python_Headless==5.0.0\n\n")
    assert installed_there(listed) == {"torch": "2.11.0", "opencv-python-headless": "5.0.0"}
    for line in ("torch", "torch>=2", "torch==two", "torch @ file:///x", "\0"):
        listed.write_text(f"numpy==2.0.0\n{line}\n")
        with pytest.raises(ConfigError, match=r"there.txt, line 2: wanted NAME==VERSION"):
            installed_there(listed)


def test_a_version_that_we_do_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"torch: wanted .* on the machine, found 1.9.0"):
        make_wheelhouse(tmp_path, "3.12", platforms("manylinux_2_28_x86_64"), {"torch": "1.9.0"})


@pytest.mark.parametrize("version", ["3.x", "2.7", "3.12 --pre"])
def test_a_version_that_is_none_is_refused_before_pip_runs(
    orn, tmp_path: Path, version: str
) -> None:
    said = orn("wheelhouse", tmp_path / "house", "--python-version", version, exit_code=2).stderr
    assert f"wanted such as 3.12, found '{version}'" in said
    assert not (tmp_path / "house").exists()


def test_pip_takes_what_is_there_from_empty_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real pip without an index: all that we need is there, so our own wheel alone is left."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(
        "orn.shared.wheelhouse.requirements", lambda: {"torch": ">=2", "numpy": ">=1"}
    )
    monkeypatch.setattr("orn.shared.wheelhouse._ROOT", _tiny_project(tmp_path / "project"))
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip's words for: without isolation
    sizes = make_wheelhouse(
        tmp_path / "house",
        "3.12",
        platforms("manylinux_2_28_x86_64"),
        {"torch": "2.9", "numpy": "2.0"},
    )
    assert list(sizes) == ["tiny-1.0-py3-none-any.whl"]
    with zipfile.ZipFile(tmp_path / "house" / "tiny-1.0-py3-none-any.whl") as wheel:
        assert "tiny.py" in wheel.namelist()


def _tiny_project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "setup.cfg").write_text(
        "[metadata]\nname=tiny\nversion=1.0\n[options]\npy_modules=tiny\n"
    )
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires=["setuptools"]\nbuild-backend="setuptools.build_meta"\n'
    )
    (folder / "tiny.py").write_text("")
    return folder
