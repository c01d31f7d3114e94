"""Every command that a message or a help text names is there, with the options named beside it, and
so is every name of the package."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

from tests.conftest import PACKAGES, ROOT
from tests.orn.commands import TARGETS, UNKNOWN, wrong_words

_ORN = re.compile(r"(?<![\w/.-])(`?)orn (?=[a-z{-])([^`;.]*)")
"""A backtick where there is one, and all from behind `orn` to the end of the part of a sentence."""
_MAKE = re.compile(r"(?:`|^)make ((?:[A-Z]+=\S+ )*)([a-z]+)(?=[`,]|$)")

_NAME = re.compile(r"(?<![\w/.-])orn(?:\.[a-zA-Z_]\w*)+(?![\w-]|\.\w)")
"""A module of the package, or what is in it; no name of a file."""


def texts(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Every string constant, with `{}` for values, and whether it is a docstring that no user
    sees."""
    docstrings, parts = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            first = node.body[0] if node.body else None
            is_help = "command(" in "".join(
                ast.unparse(decorator) for decorator in getattr(node, "decorator_list", [])
            )
            if isinstance(first, ast.Expr) and not is_help:
                docstrings.add(first.value)
        elif isinstance(node, ast.JoinedStr):
            parts |= set(node.values)
            values = (value.value if isinstance(value, ast.Constant) else UNKNOWN
                      for value in node.values)  # fmt: skip
            yield "".join(map(str, values)), False
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield node.value, node in docstrings


def wrong_mentions(source: str) -> Iterator[str]:
    """What is said about commands in a module's strings and does not hold."""
    for text, is_private in texts(ast.parse(source)):
        text = " ".join(text.split())
        for variables, target in _MAKE.findall(text):
            if target not in TARGETS:
                yield f"make {variables}{target}: there is no such target"
        for mention in re.split(r"(?<![\w/.-])(?=`?orn )", text):
            match = _ORN.match(mention)
            if match is not None and not (is_private and not match.group(1)):
                yield from wrong_words(match.group(2), re.split(r"[.;:)] |\)", mention)[0])


@pytest.mark.parametrize("package", PACKAGES)
def test_commands_that_are_named_are_there(package: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {mention}"
        for path in sorted(Path(ROOT, package).rglob("*.py"))
        for mention in wrong_mentions(path.read_text(encoding="utf-8"))
    }
    assert not wrong


def named(package: str) -> set[str]:
    """The names of the package in messages and help texts of a part of it."""
    found = set()
    for path in Path(ROOT, package).rglob("*.py"):
        for text, is_private in texts(ast.parse(path.read_text(encoding="utf-8"))):
            found |= set() if is_private else set(_NAME.findall(text))
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_names_of_the_package_are_there(package: str) -> None:
    for name in sorted(named(package)):
        resolve_name(name)
