"""The command group: lazy commands, errors as exit codes, logging."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from shared import cli
from shared.errors import ConfigError, PipelineError, UnknownDatasetError


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., "click.testing.Result"]:
    """Runs `orn probe` with a function as the command."""

    def run_command(function: Callable[[], object], *options: str) -> "click.testing.Result":
        command = click.command()(function)
        monkeypatch.setitem(cli.COMMANDS, "probe", cli.LazyCommand("nowhere", "probe", "Probe."))
        monkeypatch.setattr(cli, "_import_command", lambda name, entry: command)
        return CliRunner().invoke(cli.orn, [*options, "probe"])

    return run_command


def test_help_lists_every_command_with_its_line() -> None:
    result = CliRunner().invoke(cli.orn, ["--help"])
    assert result.exit_code == 0
    for name, entry in cli.COMMANDS.items():
        assert f"  {name} " in result.output
        assert entry.help in result.output


def test_version_is_that_of_the_distribution() -> None:
    result = CliRunner().invoke(cli.orn, ["--version"])
    assert result.output.startswith("orn, version ")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_there_and_has_help(name: str) -> None:
    result = CliRunner().invoke(cli.orn, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: orn {name}" in result.output


def test_unknown_command_names_the_nearest() -> None:
    result = CliRunner().invoke(cli.orn, ["trian"])
    assert result.exit_code == 2
    assert "there is no command 'trian'; did you mean 'train'?" in result.output


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (PipelineError("disk full"), 1),
        (ConfigError("no such key"), 2),
        (UnknownDatasetError("no data set"), 2),
    ],
)
def test_error_is_one_line_on_stderr(run, error: PipelineError, exit_code: int) -> None:
    def fail() -> None:
        raise error

    result = run(fail)
    assert result.exit_code == exit_code
    assert result.stderr == f"orn: error: {error}\n"
    assert result.stdout == ""


def test_error_of_several_lines_becomes_one(run) -> None:
    def fail() -> None:
        raise PipelineError("first\nsecond")

    assert run(fail).stderr == "orn: error: first second\n"


def test_other_exceptions_keep_their_traceback(run) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a bug")

    assert isinstance(run(fail).exception, ZeroDivisionError)


def test_returned_number_is_the_exit_code(run) -> None:
    assert run(lambda: 3).exit_code == 3
    assert run(lambda: None).exit_code == 0


def test_interrupt_is_130(run) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    result = run(interrupt)
    assert result.exit_code == 130
    assert "orn: interrupted" in result.stderr


def test_usage_errors_are_2(run) -> None:
    assert CliRunner().invoke(cli.orn, ["--nonsense"]).exit_code == 2


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ((), {"ours info", "theirs warning"}),
        (("-v",), {"ours debug", "ours info", "theirs warning"}),
        (("-vv",), {"ours debug", "ours info", "theirs info", "theirs warning"}),
    ],
)
def test_verbosity(run, options: tuple[str, ...], shown: set[str]) -> None:
    def log() -> None:
        logging.getLogger("shared.thing").debug("ours debug")
        logging.getLogger("stage2_train").info("ours info")
        logging.getLogger("elsewhere").info("theirs info")
        logging.getLogger("elsewhere").warning("theirs warning")

    result = run(log, *options)
    logged = {line.split(maxsplit=2)[2] for line in result.stderr.splitlines()}
    assert logged == shown
    assert result.stdout == ""


def test_logging_is_left_as_it_was(run, monkeypatch: pytest.MonkeyPatch) -> None:
    root, ours = logging.getLogger(), logging.getLogger("shared")
    monkeypatch.setattr(ours, "level", logging.CRITICAL)
    before = (list(root.handlers), root.level)
    run(lambda: None, "-vv")
    assert (list(root.handlers), root.level) == before
    assert ours.level == logging.CRITICAL


def test_verbose_shows_where_an_error_is_from(run) -> None:
    def fail() -> None:
        raise PipelineError("disk full")

    assert "Traceback" not in run(fail).stderr
    assert "Traceback" in run(fail, "-v").stderr


@pytest.mark.parametrize(
    ("module", "attribute", "message"),
    [
        ("stage3_none.commands", "go", "is not part of this installation (no module 'stage3_none'"),
        (
            "shared.none_such",
            "go",
            "is not part of this installation (no module 'shared.none_such'",
        ),
        ("shared.errors", "go", "is not part of this installation (no command 'go'"),
    ],
)
def test_missing_command_says_so(
    monkeypatch: pytest.MonkeyPatch, module: str, attribute: str, message: str
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "gone", cli.LazyCommand(module, attribute, "Gone."))
    result = CliRunner().invoke(cli.orn, ["gone"])
    assert result.exit_code == 1
    assert f"orn: error: the command 'gone' {message}" in result.stderr


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "needs_much.py").write_text("import library_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, "much", cli.LazyCommand("needs_much", "go", "Much."))
    result = CliRunner().invoke(cli.orn, ["much"])
    assert result.exit_code == 1
    assert "needs the Python package 'library_that_is_not_there'" in result.stderr
    assert "orn doctor" in result.stderr


def test_reader_that_goes_away_is_no_crash() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "shared.cli", "manifest", "list"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert process.returncode == 1
    assert process.stderr == ""
