"""What the README and the pages of the docs name is there: pages, files, commands, functions."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.orn.commands import TARGETS, wrong_words

PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"),
    *(ROOT / "data_manifests" / "README.md", *sorted((ROOT / "docs").glob("*.md"))),
]

_ORN = re.compile(r"(?:^|\s)(?:\.venv/bin/)?orn (?!import\b)([a-z][^`\n#]*)")
_MAKE = re.compile(r"(?:^|&& )make +([a-z-]+)", re.MULTILINE)
_RECORD = re.compile(r"\b\w+_\d{6}\.(?:json|csv)\b")
_LINK = re.compile(r"\]\(([^)#]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_records_are_those_that_pages_cite() -> None:
    """A table beside a record, of the same name, belongs to it."""
    cited = {name for page in PAGES for name in _RECORD.findall(page.read_text("utf-8"))}
    there = {path.name for path in (ROOT / "benchmarks" / "results").iterdir() if path.is_file()}
    assert cited <= there
    assert {Path(name).stem for name in there} == {Path(name).stem for name in cited}


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {(ROOT / link).resolve() for link in _LINK.findall((ROOT / "README.md").read_text())}
    assert set(PAGES[1:]) <= linked


def rows_of_numerics() -> list[list[str]]:
    """The cells of the table of equations, without its head."""
    page = (ROOT / "docs" / "numerics.md").read_text("utf-8").split("\n## ")[0]
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [line.strip("|").split("|") for line in lines[2:]]


def test_functions_loops_and_tests_of_equations_are_there() -> None:
    """A loop is `FILE.LOOP`, and further ones of the same file stand without it."""
    missing = []
    for _, _, functions, loops, tests in rows_of_numerics():
        path, source = Path(), ""
        for code in re.findall(r"`([^`]+)`", functions):
            file, colon, name = code.rpartition(": ")
            if colon or code.endswith(".py"):
                path, name = ROOT / "stage2_train" / (file or code), name if colon else ""
            source = path.read_text("utf-8") if path.is_file() else ""
            if not re.search(rf"^(class|def) {name}", source, re.MULTILINE):
                missing.append(code)
        for code in re.findall(r"`([^`]+)`", tests):
            folder = ROOT / "tests" / "stage2_train"
            if not [*folder.glob(code), *folder.glob(f"model/{code}")]:
                missing.append(code)
        for code in re.findall(r"`([^`]+)`", loops):
            file, dot, name = code.rpartition(".")
            if dot:
                path = ROOT / "tests" / "reference" / f"{file}.py"
                source = path.read_text("utf-8") if path.is_file() else ""
            if not re.search(rf"^def {name}\b", source, re.MULTILINE):
                missing.append(code)
    assert not missing


def codes(page: str) -> Iterator[str]:
    """Blocks between fences, and what stands between backticks elsewhere."""
    for number, part in enumerate(page.split("```")):
        if number % 2:
            yield part.replace("\\\n", " ")
        else:
            yield from re.findall(r"`([^`]*)`", part)


def wrong(page: str) -> Iterator[str]:
    """Commands, options and targets of a page that are not there."""
    for words in (words for code in codes(page) for words in _ORN.findall(code)):
        yield from wrong_words(words, words.split(" && ")[0])
    for module in re.findall(r"python -m (orn\.[\w.]+)", page):
        if module != "orn.benchmarks.NAME" and find_spec(module) is None:
            yield f"python -m {module}: there is no such module"
    for target in (target for code in codes(page) for target in _MAKE.findall(code)):
        if target not in TARGETS:
            yield f"make {target}: there is no such target"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_a_page_are_there(page: Path) -> None:
    assert list(wrong(page.read_text("utf-8"))) == []
