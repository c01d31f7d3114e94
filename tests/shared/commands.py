"""Every command of `orn`, found by walking its groups."""

from collections.abc import Iterator

import click

from orn.shared.cli import orn


def find_command(words: list[str]) -> click.Command | None:
    """The command that words such as `["model", "summary"]` name."""
    found: click.Command | None = orn
    for word in words:
        if not isinstance(found, click.Group):
            return None
        found = found.get_command(click.Context(found), word)
    return found


def all_commands() -> Iterator[list[str]]:
    """The words of each command and group, `[]` for `orn` itself; imports what it yields only."""
    waiting: list[list[str]] = [[]]
    while waiting:
        words = waiting.pop(0)
        yield words
        command = find_command(words)
        if isinstance(command, click.Group):
            waiting += [[*words, name] for name in command.list_commands(click.Context(command))]
