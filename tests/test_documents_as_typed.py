"""Each line of the documentation that begins with `orn` or `make`, typed in the layout of its page.

`/disk` is the folder `data`. What takes long is typed as a dry run; what needs data, weights or a
machine that is not there is only parsed.
"""

import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import click
import pytest

from orn.cli import orn
from tests.conftest import ROOT
from tests.running import run_orn
from tests.test_makefile import last_line
from tests.worlds.documents import write_documents

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OUTPUTS = (r"orn +(99\.9|object-head)",)
"""Rows of tables that a command prints."""
ONLY_PARSED = (
    *(r"^orn (train|eval|ablate|verify|import-objects|export-objects) .*(vlog|epic)", "hf://"),
    *(
        "convnext",
        "torchvision/",
        "test-verbs",
        "runs/(verbs|nouns)",
        "--engine ray",
        "--device cuda",
        "^orn predict .*--detector",
        "mice_config",
        "^orn bench ",
    ),
    r"^orn eval demo-model",  # its store is that of another network
    r"^orn predict runs/cages-",  # a model of intervals, which takes minutes
)
"""Shards and weights that are published, other hosts, GPUs, and measurements of minutes."""
NOT_ORN = ("setup", "test", "demo", "bench", "docs")
"""Targets whose line is looked at."""
DRY = r"^orn (?:(?:run|ablate|train)\b|detect (?!.*--detector.*--limit)|clips .*--(?!.*lite0))"
"""Commands that take long."""
ANSWERS = {"/disk": "data", "$SLURM_ARRAY_TASK_ID": "2", "shard-000002": "shard-000000"}
"""What a word of the pages stands for in the folder of the test."""


def lines(page: Path) -> list[str]:
    """The lines in the blocks of a page, without comments."""
    blocks = page.read_text("utf-8").split("```")[1::2]
    found = [line for block in blocks for line in re.findall(r"^(?:orn|make) .*", block, re.M)]
    rows = [line for line in found if not any(re.match(row, line) for row in OUTPUTS)]
    return [re.split(r"\s#\s|\s#$", line)[0].strip() for line in rows]


def commands(line: str) -> Iterator[str]:
    """What a shell or `make` runs for a line, without the redirection of its output."""
    for part in line.split(" && "):
        typed = part.split(" > ")[0]
        for word, answer in ANSWERS.items():
            typed = typed.replace(word, answer)
        if not typed.startswith("make "):
            yield typed
            continue
        target = typed.split()[1]
        made = last_line(*shlex.split(typed)[1:])
        if target not in NOT_ORN:
            assert made.startswith(".venv/bin/orn "), made
            yield made.removeprefix(".venv/bin/")


def parse(words: list[str]) -> None:
    """Parses words as their command does; another option than it has is a usage error."""
    name, command, rest = orn.resolve_command(click.Context(orn), words)
    assert name is not None and command is not None
    command.make_context(name, rest)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `write_documents` makes; read-only."""
    folder = tmp_path_factory.mktemp("documents")
    write_documents(folder)
    page = (ROOT / "docs" / "own_detector.md").read_text("utf-8")
    for name, code in re.findall(r"Save this as `(.+?)`.*?```python\n(.*?)```", page, re.S):
        (folder / name).write_text(code)
    return folder


@contextmanager
def place_of(words: list[str]) -> Iterator[None]:
    """The folder in which words are typed: those on the table of the kitchen before its manifest
    is there, but for its update, those that detect or import objects before there are any, and
    those that run a manifest before there is a run of it, which has other settings here."""
    is_new = {"import-objects", "--detector"} & {*words}
    if is_new or words[:2] == ["run", "kitchen.toml"]:
        shutil.rmtree("shards/kitchen", ignore_errors=True)
    if words[:2] == ["run", "kitchen.toml"] and Path("runs").exists():
        Path("runs").rename("runs-before")
        yield
        Path("runs-before").rename("runs")
        return
    if "kitchen/labels.csv" not in words or words[:2] == ["manifest", "update"]:
        yield
        return
    shutil.rmtree("bare", ignore_errors=True)
    shutil.copytree("kitchen", "bare/kitchen", ignore=shutil.ignore_patterns("*.txt", "split.csv"))
    with chdir("bare"):
        yield


def type_line(typed: str) -> str:
    """Types a command, and gives how: run, as a dry run, or parsed."""
    words = shlex.split(typed)[1:]
    if any(re.search(pattern, typed) for pattern in ONLY_PARSED):
        parse(words)
        return "parsed"
    is_dry = re.search(DRY, typed) is not None
    more = ["--dry-run"] if is_dry and "--dry-run" not in words else []
    with place_of(words):
        if is_dry and words[:2] == ["run", "kitchen/labels.csv"]:  # without a manifest
            refused = run_orn(*words, *more, exit_code=2).stderr
            run_orn(*shlex.split(re.findall("`orn (.*)`", refused)[-1]))
        run_orn(*words, *more)
    return "dry run" if is_dry else "run"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lines_of_a_page(page: Path, prepared: Path, tmp_path: Path, monkeypatch) -> None:
    typed = lines(page)
    if not typed:
        return
    folder = shutil.copytree(prepared, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ORN_DATA", raising=False)
    failed, ways = [], Counter[str]()
    for line in typed:
        try:
            ways.update(type_line(command) for command in commands(line))
        except (AssertionError, click.ClickException) as err:
            failed.append(f"{line}\n{str(err)[-700:]}")
    assert not failed, "\n".join(failed)
    print(page.name, dict(ways))
