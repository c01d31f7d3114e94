"""Who may import whom: read from the source, so that imports inside functions count too."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

STAGES = {"stage1_detect", "stage2_train"}
DETECTION_LIBRARIES = {"mmdet", "mmcv", "mmengine"}
HEAVY = {"torch", "torchvision", "numpy", "zarr", "h5py", "av", "pydantic", "rich", "matplotlib"}


def imported_names(source: str) -> Iterator[str]:
    """Every module named in an import, and every constant one given to `import_module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (part.value for part in node.args if isinstance(part, ast.Constant))


def packages_imported_by(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported_names(path.read_text(encoding="utf-8"))}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def test_imports_are_found_wherever_they_stand() -> None:
    source = "def f():\n    import mmdet.apis\nfrom a.b import c\nimportlib.import_module('d.e')\n"
    assert set(imported_names(source)) == {"mmdet.apis", "a.b", "d.e"}


@pytest.mark.parametrize("path", sources("shared"), ids=str)
def test_shared_imports_no_stage(path: Path) -> None:
    assert not packages_imported_by(path) & STAGES


@pytest.mark.parametrize("path", sources("stage1_detect"), ids=str)
def test_detection_does_not_import_training(path: Path) -> None:
    assert "stage2_train" not in packages_imported_by(path)


@pytest.mark.parametrize("path", sources("stage2_train"), ids=str)
def test_training_does_not_import_detection(path: Path) -> None:
    assert "stage1_detect" not in packages_imported_by(path)


@pytest.mark.parametrize("package", ["shared", "stage1_detect", "stage2_train", "demo"])
def test_only_the_adapter_imports_mmdetection(package: str) -> None:
    importers = {
        path.relative_to(ROOT)
        for path in sources(package)
        if packages_imported_by(path) & DETECTION_LIBRARIES
    }
    adapter = Path("stage1_detect", "mmdet")
    assert all(adapter in path.parents for path in importers), importers


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["trian"]])
def test_the_command_group_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from shared.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in process.stderr.split()}
    assert "click" in loaded
    assert not loaded & HEAVY
