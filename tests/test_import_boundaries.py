"""Who may import whom: read from the source, so that imports inside functions count too.

A room is a folder below one of the packages, with all that lies in it; a module that lies in a
package itself is a room of its own.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from tests.conftest import ROOT

MAY_IMPORT: dict[str, set[str]] = {
    "shared": set(),
    "data_manifests": {"shared"},
    "stage1_detect": {"shared", "data_manifests"},
    "stage2_train": {"shared", "data_manifests"},
    "benchmarks": {"shared", "data_manifests", "stage1_detect", "stage2_train"},
    "orn": {"shared", "data_manifests", "stage1_detect", "stage2_train", "benchmarks"},
}
PACKAGES = tuple(MAY_IMPORT)


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Every module named in an import, and every constant one given to `import_module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (part.value for part in node.args if isinstance(part, ast.Constant))


@cache
def modules() -> dict[str, Path]:
    """Every module of the product by name; a package's own is its `__init__`."""
    paths = [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "experiments" not in path.parts  # scripts
    ]
    names = {path: path.relative_to(ROOT).with_suffix("").parts for path in paths}
    return {
        ".".join(parts if parts[0] == "orn" else ("orn", *parts)): path
        for path, parts in names.items()
    }


@cache
def trees() -> dict[str, ast.Module]:
    """The source of every module."""
    return {name: ast.parse(path.read_text("utf-8")) for name, path in modules().items()}


@cache
def imports() -> dict[str, set[str]]:
    """Of each module, what it imports."""
    return {name: set(imported_names(tree)) for name, tree in trees().items()}


def package_of(module: str) -> str:
    """The folder at the top in which a module of ours lies; empty for one of others."""
    first, _, rest = module.partition(".")
    folder = rest.partition(".")[0]
    return "" if first != "orn" else folder if folder in PACKAGES else "orn"


def room(module: str) -> str:
    return ".".join(module.split(".")[: 2 if package_of(module) == "orn" else 3])


def test_packages_import_only_those_below_them() -> None:
    crossings = {
        f"{package_of(name)} imports {package_of(imported)}"
        for name, names in imports().items()
        for imported in names
        if package_of(imported) in set(PACKAGES) - MAY_IMPORT[package_of(name)] - {package_of(name)}
    }
    assert not crossings


def test_only_the_adapter_imports_mmdetection() -> None:
    libraries = {"mmdet", "mmcv", "mmengine"}
    importers = {
        name
        for name, names in imports().items()
        if libraries & {imported.partition(".")[0] for imported in names}
        and not name.startswith(("orn.stage1_detect.mmdet.", "orn.benchmarks."))
    }
    assert not importers


def test_modules_do_not_import_in_circles() -> None:
    graph = {name: imported & modules().keys() - {name} for name, imported in imports().items()}
    TopologicalSorter(graph).prepare()


def test_rooms_do_not_import_in_circles() -> None:
    graph: dict[str, set[str]] = {}
    for name, imported in imports().items():
        others = {room(module) for module in imported & modules().keys()} - {room(name)}
        graph.setdefault(room(name), set()).update(others)
    TopologicalSorter(graph).prepare()


def test_rooms_of_stage2_import_what_their_docstrings_allow() -> None:
    crossings = set()
    for name, names in imports().items():
        start = trees().get(f"{room(name)}.__init__")
        if package_of(name) != "stage2_train" or start is None:
            continue
        own = room(name).rpartition(".")[2]
        listed = (ast.get_docstring(start) or "").partition("May import")[2]
        allowed = {own, *re.findall(r"`(\w+)`", listed)}
        for imported in names & modules().keys():
            package = package_of(imported)
            other = room(imported).rpartition(".")[2] if package == "stage2_train" else package
            if other not in allowed:
                crossings.add(f"{own} imports {other}")
    assert not crossings


def test_only_commands_read_options_print_and_ask() -> None:
    """A library prints nothing on stdout, asks nothing and knows no click; benchmarks are
    scripts."""
    wrong = set()
    for name, tree in trees().items():
        if name == "orn.cli" or name.startswith(("orn.commands", "orn.benchmarks")):
            continue
        if any(imported.partition(".")[0] == "click" for imported in imports()[name]):
            wrong.add(f"{name} imports click")
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            function, on_stderr = ast.unparse(node.func), "file=sys.stderr" in ast.unparse(node)
            if function == "input" or (function == "print" and not on_stderr):
                wrong.add(f"{name} calls {function}")
    assert not wrong


def test_nothing_below_the_commands_imports_them() -> None:
    above = ("orn.commands", "orn.cli", "orn.__main__")
    wrong = {
        f"{name} imports {imported}"
        for name, names in imports().items()
        for imported in names
        if imported.startswith("orn.commands") and not name.startswith(above)
    }
    assert not wrong
