"""The command group: lazy commands, errors as exit codes, logging."""

import io
import logging
import os
import re
import signal
import sys
from collections.abc import Callable
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from orn import cli
from orn.commands import output
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.escaped_text import line_handler
from tests.running import run_python


@pytest.fixture
def add_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Adds a command, by name and `module:attribute`, to one section."""

    def add(name: str, where: str) -> None:
        monkeypatch.setitem(cli.COMMANDS["Prepare"], name, (where, "Try."))

    return add


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, add_command) -> Callable[..., "click.testing.Result"]:
    """Runs `orn probe` with a function as the command."""

    def run_command(function: Callable[[], object], *options: str) -> "click.testing.Result":
        probes = ModuleType("probes")
        probes.probe = click.command()(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "probes", probes)
        add_command("probe", "probes:probe")
        return CliRunner().invoke(cli.orn, [*options, "probe"])

    return run_command


def test_help_lists_every_command_under_its_heading(orn) -> None:
    text = orn("--help").stdout.splitlines()
    assert len(text) <= 48
    lines = iter(text)
    for heading, section in cli.COMMANDS.items():
        assert f"{heading}:" in lines
        for words, (_, text) in section.items():
            assert any(re.fullmatch(rf"  {words} +{re.escape(text)}", line) for line in lines)


def test_no_help_imports_anything_heavy() -> None:
    code = """
import sys
import orn
assert set(orn.__all__) <= set(dir(orn)) and "click" not in sys.modules
from click.testing import CliRunner
from orn.cli import orn
from tests.conftest import PACKAGES, ROOT
from tests.orn.commands import all_commands

heavy = {"torch", "torchvision", "numpy", "zarr", "h5py", "av", "matplotlib"}
CliRunner().invoke(orn, ["--help"])
assert "pydantic" not in sys.modules  # commands need it, the list of them does not
for words in [*all_commands(), ["--version"], ["trian"]]:
    result = CliRunner().invoke(orn, [*words, "--help"])
    usage = " ".join(["Usage: orn", *words])
    assert words == ["trian"] or result.output.startswith((usage, "orn, version")), result.output
    loaded = heavy & {name.partition(".")[0] for name in sys.modules}
    assert not loaded, f"{words} imports {loaded}"
"""
    run_python("-c", code)


HOSTILE = "a\x1b]0;title\x07\x9b31m\udcff\nb"
"""A name that sets a terminal's title and color, and is not UTF-8."""
ESCAPED = r"a\x1b]0;title\x07\x9b31m\udcff"


def test_names_reach_the_terminal_escaped(run) -> None:
    in_utf8 = HOSTILE.replace("\udcff", "")  # pytest keeps what is logged, and sends it as UTF-8

    def say() -> None:
        logging.getLogger("orn.shared.video").warning("%s: damaged", in_utf8)
        output.echo(HOSTILE)
        output.echo_text(HOSTILE)
        raise PipelineError(HOSTILE)

    result = run(say)
    assert result.stdout == f"{ESCAPED}\\nb\n{ESCAPED}\nb\n"
    warning, error = result.stderr.splitlines()
    assert warning.endswith(rf"WARNING {ESCAPED.replace(chr(92) + 'udcff', '')}\nb: damaged")
    assert error == f"orn: error: {ESCAPED} b"
    lines = io.StringIO()
    line_handler(lines).handle(logging.makeLogRecord({"msg": HOSTILE}))
    assert lines.getvalue().endswith(f"{ESCAPED}\\nb\n")


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (PipelineError("disk full"), 1, "orn: error: disk full\n"),
        (ConfigError("first\nsecond"), 2, "orn: error: first second\n"),
        (OSError(36, "too long", "/x"), 1, "orn: error: /x: too long\n"),
        (KeyboardInterrupt(), 130, "orn: interrupted\n"),
    ],
)
def test_an_error_is_one_line_on_stderr(run, error, exit_code, message) -> None:
    def fail() -> None:
        raise error

    result = run(fail)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.lstrip("\n") == message


def test_every_command_says_that_it_was_terminated(run) -> None:
    result = run(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert (result.exit_code, result.stderr.strip()) == (143, "orn: terminated")
