"""The names of docs/python.md: light to import, and typed."""

import subprocess
import sys

from tests.conftest import ROOT

HEAVY = ("torch", "numpy", "mmdet", "mmengine", "cv2", "zarr", "h5py", "av", "pydantic", "click")


def test_importing_the_names_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from shared import open_shard\n"
        "from stage1_detect import load_detector\n"
        f"print(sorted(sys.modules.keys() & {set(HEAVY)!r}))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "[]\n"


def test_packages_tell_type_checkers_that_they_are_typed() -> None:
    for package in ("shared", "stage1_detect", "stage2_train"):
        assert (ROOT / package / "py.typed").is_file()
