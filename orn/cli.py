"""The `orn` command group.

Commands are imported lazily, so that `orn --help` is fast and a broken dependency disables only the
commands that need it. If a command returns an integer, it becomes the exit code.
"""

import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import click

from orn.commands.output import echo_text
from orn.shared.errors import PipelineError
from orn.shared.jobs.exit_codes import errors_as_exit_codes, logging_to_stderr
from orn.shared.text import nearest

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "doctor": ("orn.commands.doctor:doctor", "Check the installation and suggest fixes."),
        "demo": ("orn.commands.demo:demo", "Run the whole pipeline on small generated videos."),
        "run": ("orn.commands.run:run", "Process a data set from videos to a report."),
    },
    "Prepare": {
        "manifest list": ("orn.commands.manifest:list_manifests", "List the data sets."),
        "manifest check": ("orn.commands.manifest:check", "Check label tables and videos."),
        "manifest new": ("orn.commands.manifest:new", "Create a manifest for your videos."),
        "manifest update": (
            "orn.commands.manifest:update",
            "Add new videos, classes and corrections.",
        ),
        "events import": (
            "orn.commands.events:import_events",
            "Convert intervals from other tools to a table.",
        ),
        "events export": ("orn.commands.events:export_events", "Export intervals for other tools."),
        "detect": ("orn.commands.detect:detect", "Detect objects in every frame."),
        "import-objects": (
            "orn.commands.import_objects:import_objects",
            "Convert detections from other tools to shards.",
        ),
        "export-objects": (
            "orn.commands.export_objects:export_objects",
            "Export detections for other tools.",
        ),
        "verify": ("orn.commands.inspect:verify", "Check shards for damage and consistency."),
        "clips": ("orn.commands.clips:clips", "Store the rescaled frames of a data set."),
    },
    "Learn": {
        "train": ("orn.commands.train:train", "Train the network on clips and shards."),
        "eval": ("orn.commands.evaluate:evaluate", "Evaluate a training run."),
        "baseline": (
            "orn.commands.baseline:baseline",
            "Evaluate simple models on the same objects and maps.",
        ),
        "predict": ("orn.commands.predict:predict", "Predict activities in videos."),
        "export": ("orn.commands.export:export", "Export a run as a portable model folder."),
    },
    "Look and compare": {
        "inspect": ("orn.commands.inspect:inspect", "Summarize a shard or show its frames."),
        "report": ("orn.commands.report:report", "Write an HTML report of a run."),
        "compare": ("orn.commands.compare:compare", "Compare two runs on the same segments."),
        "runs": ("orn.commands.compare:runs", "List runs side by side."),
        "ablate": ("orn.commands.compare:ablate", "Train and compare the systems in a table."),
        "eval-epic100": (
            "orn.commands.compare:eval_epic100",
            "Print EPIC-KITCHENS-100 metrics of two runs.",
        ),
        "bench gpu": ("orn.commands.bench:gpu", "Run all measurements on a GPU."),
    },
}
"""Commands by heading and words, in help order: the function (`module:attribute`) and the line in
the help, which is shown without an import."""


class _Program(click.Group):
    """The group of all commands, whose modules are imported when they are called; sets up logging
    and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [words for section in COMMANDS.values() for words in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in COMMANDS.values():
            if cmd_name in section:
                return _import_command(cmd_name, section[cmd_name][0])
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        for length in (2, 1):
            words = " ".join(args[:length])
            if words in known:
                return words, self.get_command(ctx, words), args[length:]
        typed = " ".join(word for word in args[:2] if not word.startswith("-"))
        hint = f"did you mean {nearest(typed, known)!r}?"
        raise click.UsageError(f"unknown command {typed!r}; {hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for heading, section in COMMANDS.items():
            with formatter.section(heading):
                rows = [(f"{words:{width}}", line) for words, (_, line) in section.items()]
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        with logging_to_stderr(ctx.params["verbose"]):
            return super().invoke(ctx)

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and, in `standalone_mode`, exit with its exit code."""
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        with errors_as_exit_codes():
            result = self._result(args, prog_name, **extra)
            sys.stdout.flush()  # a closed pipe raises an error here, not at exit
            _leave_process_group()
            sys.exit(result if isinstance(result, int) else 0)

    def _result(self, args: Sequence[str] | None, prog_name: str | None, **extra: Any) -> Any:
        """Return the result of a command; show a usage error and exit with its code."""
        try:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        except click.ClickException as err:
            shown_error = io.StringIO()
            err.show(shown_error)
            echo_text(shown_error.getvalue(), err=True, nl=False)
            sys.exit(err.exit_code)
        except click.Abort as err:
            cause = err.__cause__
            raise cause if isinstance(cause, KeyboardInterrupt) else KeyboardInterrupt from None


def _leave_process_group() -> None:
    """Destroy torch's process group after success under torchrun.

    Its threads sometimes abort the interpreter at exit. After an error the call could block on
    other processes, which torchrun terminates.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _import_command(name: str, where: str) -> click.Command:
    """Return the command at `module:attribute`."""
    module_name, _, attribute = where.partition(":")
    try:
        command: click.Command = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as err:
        raise PipelineError(
            f"command {name!r} requires the Python package {err.name!r}, which is not installed; "
            "`orn doctor` shows how to install it"
        ) from err
    return command


@click.command(
    cls=_Program,
    name="orn",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-v", "--verbose", count=True, help="Log debug messages; -vv: also from other packages."
)
@click.version_option(package_name="object-relation-network", prog_name="orn")
def orn(verbose: int) -> None:
    """Object-level visual reasoning in videos."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the `orn` command line."""
    orn.main(args=arguments, prog_name="orn")
