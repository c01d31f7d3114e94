"""Every command of `orn`, found by walking its groups."""

import re
from collections.abc import Iterator

import click

from orn.cli import orn
from tests.conftest import ROOT

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
UNKNOWN = "{}"
"""What stands for a value in a text."""
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def find_command(words: list[str]) -> click.Command | None:
    """The command that words such as `["model", "summary"]` name."""
    command: click.Command | None = orn
    for word in words:
        if not isinstance(command, click.Group):
            return None
        command = command.get_command(click.Context(command), word)
    return command


def all_commands() -> Iterator[list[str]]:
    """The words of each command and group, `[]` for `orn` itself; imports what it yields only."""
    waiting: list[list[str]] = [[]]
    while waiting:
        words = waiting.pop(0)
        yield words
        command = find_command(words)
        if isinstance(command, click.Group):
            waiting += [[*words, name] for name in command.list_commands(click.Context(command))]


def wrong_words(words: str, options: str) -> Iterator[str]:
    """What does not hold of the words after `orn`, and of the options that are named in a text."""
    path: list[str] = []
    command = find_command(path)
    for word in words.split():
        if isinstance(command, click.Group) and word == UNKNOWN:
            return
        if not isinstance(command, click.Group) or not re.fullmatch(r"[a-z][\w-]*[,:]?", word):
            break
        path.append(word.rstrip(",:"))
        command = find_command(path)
    if command is None:
        yield f"orn {' '.join(path)}: there is no such command"
        return
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for option in _OPTION.findall(options):
        if option not in known:
            yield f"orn {' '.join(path)} {option}: there is no such option"
