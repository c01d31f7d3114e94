"""`orn doctor`: what it says of sound and of broken installations."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from orn.shared import doctor
from orn.shared.cli import orn
from orn.shared.doctor import Check


def fixed(**versions: str) -> Callable[[str], str | None]:
    """A stand-in for `installed_version`, names with _ for -."""
    return lambda name: versions.get(name.replace("-", "_"))


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes `orn doctor` find exactly the given checks."""

    def replace(*checks: Check) -> None:
        monkeypatch.setattr(doctor, "run_checks", lambda: iter(checks))

    return replace


OK = Check(name="one", status="ok", found="fine")
WARNING = Check(name="two", status="warning", found="odd", remedy="look")
FAILED = Check(name="three", status="failed", found="broken", remedy="mend it")


def test_failure_ends_with_1_and_says_how_to_mend(only) -> None:
    only(OK, WARNING, FAILED)
    result = CliRunner().invoke(orn, ["doctor"])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "ok       one: fine",
        "warning  two: odd",
        "         -> look",
        "FAILED   three: broken",
        "         -> mend it",
        "something needed does not work",
    ]


def test_warnings_are_no_failure(only) -> None:
    only(OK, WARNING)
    result = CliRunner().invoke(orn, ["doctor"])
    assert result.exit_code == 0
    assert result.stdout.endswith("everything needed works\n")


def test_json(only) -> None:
    only(OK, FAILED)
    result = CliRunner().invoke(orn, ["doctor", "--json"])
    assert result.exit_code == 1
    payload = json.loads(result.stdout)
    assert payload["ok"] is False
    assert payload["checks"][1] == {
        "name": "three",
        "status": "failed",
        "found": "broken",
        "remedy": "mend it",
    }


def test_every_check_runs_here() -> None:
    names = [check.name for check in doctor.run_checks()]
    assert names[0] == "python"
    assert names[-6:] == ["cv2", "torch devices", "mmcv", "video codecs", "weights", "disk"]
    assert {"torch", "zarr", "mmcv-lite"} <= set(names)


def test_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", (3, 10, 1))
    check = doctor._check_python()
    assert check.status == "failed"
    assert "wanted 3.11 to 3.13" in check.found


@pytest.mark.parametrize(
    ("versions", "status", "found"),
    [
        ({"some_library": "2.5+cpu"}, "ok", "2.5+cpu (wanted >=2,<3)"),
        ({"some_library": "3.0"}, "failed", "3.0, wanted >=2,<3"),
        ({"some_library": "1.9"}, "failed", "1.9, wanted >=2,<3"),
        ({"some_library": "2.6.0rc1"}, "ok", "2.6.0rc1 (wanted >=2,<3)"),
        ({}, "failed", "not installed"),
    ],
)
def test_versions_against_ranges(
    monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], status: str, found: str
) -> None:
    monkeypatch.setattr(doctor, "requirements", lambda: {"some-library": ">=2,<3"})
    monkeypatch.setattr(doctor, "installed_version", fixed(**versions))
    (check,) = doctor._check_packages()
    assert (check.status, check.found) == (status, found)
    assert (check.remedy == "") == (status == "ok")
    if check.remedy:
        assert "pip install 'some-library>=2,<3'" in check.remedy


def test_compiled_mmcv_does_for_mmcv_lite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requirements", lambda: {"mmcv-lite": ">=2.1,<2.2"})
    monkeypatch.setattr(doctor, "installed_version", fixed(mmcv="2.1.0"))
    (check,) = doctor._check_packages()
    assert check.status == "ok"


def test_project_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requirements", dict)
    (check,) = doctor._check_packages()
    assert (check.status, check.remedy) == ("failed", "make setup")


def test_opencv_that_needs_a_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(doctor.importlib, "import_module", refuse)
    monkeypatch.setattr(doctor, "installed_version", fixed(opencv_python="4.10.0"))
    check = doctor._check_cv2()
    assert check.status == "failed"
    assert check.found.startswith("opencv-python 4.10.0; does not import: libGL.so.1")
    assert "opencv-python-headless does not" in check.found
    assert "uninstall --yes opencv-python " in check.remedy
    assert "install --no-deps opencv-python-headless" in check.remedy
    assert sys.executable in check.remedy


@pytest.mark.parametrize(
    ("versions", "status"),
    [
        ({"opencv_python_headless": "4.10"}, "ok"),
        ({"opencv_python": "4.10"}, "ok"),
        ({"opencv_python": "4.10", "opencv_python_headless": "4.10"}, "warning"),
    ],
)
def test_opencv_that_imports(
    monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], status: str
) -> None:
    module = SimpleNamespace(__version__="4.10")
    monkeypatch.setattr(doctor.importlib, "import_module", lambda name: module)
    monkeypatch.setattr(doctor, "installed_version", fixed(**versions))
    assert doctor._check_cv2().status == status


@pytest.mark.parametrize(
    ("files", "found"),
    [(["_ext.cpython-311.so"], "compiled; its own operators"), ([], "not compiled; nms and roi")],
)
def test_state_of_mmcv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: list[str], found: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: spec)
    check = doctor._check_mmcv()
    assert check.status == "ok"
    assert check.found.startswith(found)


def test_mmcv_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    check = doctor._check_mmcv()
    assert check.status == "failed"
    assert "mmcv, mmdet, mmengine not installed" in check.found


def test_codecs_that_do_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_h264_round_trip", lambda: 0)
    assert doctor._check_codecs().status == "failed"


def test_h264_is_written_and_read() -> None:
    assert doctor._h264_round_trip() == 4


def test_check_that_breaks_is_what_it_finds() -> None:
    def broken() -> Check:
        raise RuntimeError("no kernel image\nand more")

    check = doctor._guarded("torch devices", broken)
    assert (check.status, check.found) == ("failed", "RuntimeError: no kernel image")
    assert check.remedy


@pytest.mark.parametrize("writable", [True, False])
def test_weights_that_are_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    def look() -> Check:
        return next(check for check in doctor.run_checks() if check.name == "weights")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    check = look()
    assert check.status == "ok"
    assert "none" in check.found
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "network-0123abcd.pth").write_bytes(bytes(3 << 20))
    (folder / "network-0123abcd.pth.1.partial").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: writable)
    check = look()
    assert check.found.count("network-0123abcd.pth (3 MiB)") == check.found.count(".pth") == 1
    assert (check.status, "TORCH_HOME" in check.remedy) == (
        ("ok", False) if writable else ("warning", True)
    )


def test_disk_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=2**30)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    check = doctor._check_disk()
    assert check.status == "warning"
    assert check.found.startswith("1.0 GiB free")
