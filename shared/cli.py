"""The `orn` command group.

Each command lives with the code it calls and is imported only when it is asked for, so that
`orn --help` stays fast and one broken dependency leaves the other commands usable. This is the only
place that configures logging (to stderr) and turns errors into exit codes: 0 done, 1 failed,
2 wrong usage, 3 finished but some videos failed, 130 interrupted, 143 terminated. A command that
returns a whole number ends with it as its exit code.
"""

import errno
import importlib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from click.core import ParameterSource

from orn.shared.echo import echo, echo_text
from orn.shared.errors import PipelineError
from orn.shared.jobs.log_lines import line_handler
from orn.shared.jobs.termination import Terminated
from orn.shared.nearest import nearest
from orn.shared.text import path_text

INTERRUPTED_EXIT_CODE = 130
"""What a shell reports for a program ended by ctrl-C (128 + SIGINT)."""
TERMINATED_EXIT_CODE = 143
"""What a shell reports for a program ended by SIGTERM (128 + SIGTERM)."""


COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "First look": {
        "doctor": (
            "orn.shared.doctor:doctor",
            "Say what is installed, what works, how to mend it.",
        ),
        "demo": ("orn.demo.commands:demo", "Run everything once on small generated videos."),
        "demo world": ("orn.demo.commands:demo_world", "Generate the videos and labels."),
        "demo truth": ("orn.demo.commands:demo_truth", "Write what films truly show as shards."),
        "demo detector": ("orn.demo.commands:demo_detector", "Train the demo's detector."),
        "demo tables": (
            "orn.demo.experiments.commands:demo_tables",
            "Repeat the paper's comparisons.",
        ),
        "demo importance": (
            "orn.demo.experiments.commands:demo_importance",
            "Say whether important pairs are those that act.",
        ),
    },
    "Data": {
        "run": (
            "orn.stage2_train.pipeline.commands:run",
            "Take a data set from videos to a report.",
        ),
        "manifest": ("", "List data sets, check their files, make new ones."),
        "manifest list": ("orn.shared.manifests.commands:list_manifests", "List the data sets."),
        "manifest check": ("orn.shared.manifests.commands:check", "Check label tables and videos."),
        "manifest new": ("orn.shared.manifests.commands:new", "Make one for videos of your own."),
        "clips": (
            "orn.stage2_train.frames.commands:clips",
            "Store the rescaled frames of a data set.",
        ),
    },
    "Objects": {
        "detect": ("orn.stage1_detect.commands:detect", "Find the objects of every frame."),
        "import-objects": (
            "orn.stage1_detect.imports.commands:import_objects",
            "Turn objects of another source into shards.",
        ),
        "export-objects": (
            "orn.stage1_detect.exports.commands:export_objects",
            "Write objects for other tools.",
        ),
        "verify": (
            "orn.shared.inspect.commands:verify",
            "Check that shards are whole and consistent.",
        ),
    },
    "Look": {
        "inspect": (
            "orn.stage2_train.inspect_commands:inspect",
            "Show what a shard or one frame holds.",
        ),
        "overlay": ("orn.stage2_train.clips.commands:overlay", "Draw masks on stored frames."),
        "report": (
            "orn.stage2_train.explanation.commands:report",
            "Write a page of a training run.",
        ),
    },
    "Learn": {
        "train": ("orn.stage2_train.commands:train", "Train the network on clips and shards."),
        "eval": ("orn.stage2_train.commands:evaluate", "Evaluate a training run."),
        "predict": ("orn.predict_videos.commands:predict", "Say what happens in videos."),
        "export": (
            "orn.stage2_train.predict.commands:export",
            "Write a run as a folder to take along.",
        ),
        "import-checkpoint": (
            "orn.stage2_train.commands:import_checkpoint",
            "Turn the network that the authors released into a run.",
        ),
    },
    "Compare": {
        "compare": (
            "orn.stage2_train.commands:compare",
            "Say what one run does better than another.",
        ),
        "runs": ("orn.stage2_train.runs.commands:runs", "List trainings side by side."),
        "runs diff": (
            "orn.stage2_train.runs.commands:diff",
            "Say which settings of two runs differ.",
        ),
        "ablate": (
            "orn.stage2_train.ablation.commands:ablate",
            "Train and compare the systems of a table.",
        ),
        "leaks": (
            "orn.demo.experiments.commands:leaks",
            "Say what gives the labels of a data set away.",
        ),
        "eval-epic100": (
            "orn.stage2_train.evaluation.epic100_commands:eval_epic100",
            "Print the challenge's table of a verb run and a noun run.",
        ),
        "submit": ("", "Write the file of a challenge."),
        "submit epic100": (
            "orn.stage2_train.evaluation.epic100_commands:submit_epic100",
            "Of EPIC Kitchens 100's recognition, from a verb run and a noun run.",
        ),
    },
    "Networks": {
        "systems": ("orn.stage2_train.systems_commands:systems", "List the systems of the paper."),
        "model": ("", "Say what a network is made of."),
        "model summary": (
            "orn.stage2_train.systems_commands:summary",
            "Print layers, shapes, parameters and multiply-adds.",
        ),
    },
    "Measure": {
        "bench": ("", "Measure this installation against references."),
        "bench object-head": (
            "orn.benchmarks.commands:object_head",
            "Object head against plain loops.",
        ),
        "bench train-step": ("orn.benchmarks.commands:train_step", "A step against plain loops."),
        "bench loader": ("orn.benchmarks.commands:loader", "Clips a second against pickles."),
        "bench detect": ("orn.benchmarks.commands:detect", "Detecting against inference_detector."),
        "bench predict": ("orn.benchmarks.commands:predict", "Explaining against a pass."),
        "bench scale": ("orn.benchmarks.commands:scale", "What starts wait for at VLOG's size."),
        "bench gpu": ("orn.benchmarks.commands:gpu", "All that there is to know of a card."),
    },
}
"""Heading, words of a command, where it is (`module:attribute`, empty for a group that does nothing
by itself) and the line of help shown without importing it; in the order in which a user meets
them."""


class LazyGroup(click.Group):
    """A click group that imports a command's module when the command is called.

    Args:
        words: what stands before the names of its commands in `COMMANDS`, such as `bench `.
        own: a command; the group does what it does where no sub-command is named.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        words: str = "",
        own: click.Command | None = None,
        **extra: Any,
    ) -> None:
        if own is not None:
            extra |= {
                "callback": _only_without_subcommand(own),
                "params": own.params,
                "help": own.help,
                "invoke_without_command": True,
                "subcommand_metavar": "[COMMAND [ARGS]...]",
            }
        super().__init__(name, **extra)
        self._words = words

    def _sections(self) -> dict[str, dict[str, tuple[str, str]]]:
        """The commands under each heading, by name."""
        sections: dict[str, dict[str, tuple[str, str]]] = {}
        for heading, section in COMMANDS.items():
            for words, entry in section.items():
                name = words.removeprefix(self._words)
                if words.startswith(self._words) and " " not in name:
                    heading = "Commands" if self._words else heading
                    sections.setdefault(heading, {})[name] = entry
        return sections

    def _entries(self) -> dict[str, tuple[str, str]]:
        return {name: entry for each in self._sections().values() for name, entry in each.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._entries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._entries():
            return None
        where, help_line = self._entries()[cmd_name]
        own = _import_command(cmd_name, where) if where else None
        words = f"{self._words}{cmd_name} "
        if not any(each.startswith(words) for section in COMMANDS.values() for each in section):
            return own
        return LazyGroup(cmd_name, words=words, own=own, help=help_line)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self._entries()
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {name!r}; did you mean {nearest(name, known)!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self._entries()))
        for heading, section in self._sections().items():
            with formatter.section(heading):
                rows = [(f"{name:{width}}", line) for name, (_, line) in section.items()]
                formatter.write_dl(rows)


def _only_without_subcommand(command: click.Command) -> Callable[..., Any]:
    """The callback of `command`, which refuses its options before a sub-command."""

    def callback(**values: Any) -> Any:
        context = click.get_current_context()
        if context.invoked_subcommand is None:
            return context.invoke(command, **values)
        for parameter in command.params:
            if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
                raise click.UsageError(
                    f"{parameter.opts[0]} before {context.invoked_subcommand!r} has no effect; "
                    "give options after the name of the sub-command"
                )
        return None

    return callback


class _Program(LazyGroup):
    """The outermost group: logging and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        with _logging_to_stderr(ctx.params["verbose"]):
            try:
                with _paths_as_errors():
                    return super().invoke(ctx)
            except PipelineError:
                logging.getLogger(__name__).debug("the command ended here:", exc_info=True)
                raise

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command line; ends the process with its exit code unless `standalone_mode` is
        off."""
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        with _errors_as_exit_codes():
            result = super().main(args, prog_name, standalone_mode=False, **extra)
            sys.stdout.flush()  # so that a reader that went away shows here and not at exit
            _leave_process_group()
            sys.exit(result if isinstance(result, int) else 0)


def _leave_process_group() -> None:
    """Ends the threads of torch's process group, where the command joined one (torchrun): left to
    the interpreter's end, they abort it now and then. After an error they may wait for the other
    processes, whom torchrun ends; then they are left alone."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _import_command(name: str, where: str) -> click.Command:
    """The command at `module:attribute`.

    Raises:
        PipelineError: if a package that its module needs is not installed.
    """
    module_name, _, attribute = where.partition(":")
    try:
        command: click.Command = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as err:
        raise PipelineError(
            f"the command {name!r} needs the Python package {err.name!r}, which is not installed; "
            "`orn doctor` says how to get it"
        ) from err
    return command


@contextmanager
def _paths_as_errors() -> Iterator[None]:
    """Names the path that no reader got to, such as one too long to be looked for."""
    try:
        yield
    except OSError as err:
        if isinstance(err, PipelineError) or err.filename is None:
            raise
        raise PipelineError(f"{path_text(err.filename)}: {err.strerror}") from err


@contextmanager
def _errors_as_exit_codes() -> Iterator[None]:
    """Reports what ends a command early on stderr and exits with the code that goes with it."""
    try:
        yield
    except PipelineError as err:
        _fail(f"orn: error: {err}", err.exit_code)
    except click.ClickException as err:
        shown_error = io.StringIO()
        err.show(shown_error)
        echo_text(shown_error.getvalue(), err=True, nl=False)
        sys.exit(err.exit_code)
    except (click.Abort, KeyboardInterrupt) as err:
        if isinstance(err, Terminated) or isinstance(err.__cause__, Terminated):
            _fail("orn: terminated", TERMINATED_EXIT_CODE)
        _fail("orn: interrupted", INTERRUPTED_EXIT_CODE)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`orn inspect ... | head`).
        _discard_output()
        sys.exit(1)
    except OSError as err:
        if err.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _discard_output()
        _fail(f"orn: error: {err.strerror}; make room, then type the same command again", 1)


def _discard_output() -> None:
    """Lets the interpreter, which flushes stdout once more at exit, not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, exit_code: int) -> None:
    echo(message, err=True)
    sys.exit(exit_code)


@contextmanager
def _logging_to_stderr(verbosity: int) -> Iterator[None]:
    """Sends log records to stderr: ours from INFO up, others' from WARNING up; each -v one level
    more."""
    handler = line_handler(sys.stderr)
    root, ours = logging.getLogger(), logging.getLogger("orn")
    levels = {root: root.level, ours: ours.level}
    root.addHandler(handler)
    root.setLevel((logging.WARNING, logging.WARNING, logging.INFO)[min(verbosity, 2)])
    ours.setLevel(logging.DEBUG if verbosity else logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for logger, level in levels.items():
            logger.setLevel(level)


@click.command(
    cls=_Program,
    name="orn",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("-v", "--verbose", count=True, help="Log more; twice for other packages' logs too.")
@click.version_option(package_name="object-relation-network", prog_name="orn")
def orn(verbose: int) -> None:
    """Object level visual reasoning in videos.

    Detect the objects of every frame once, then learn activities from how they relate.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the `orn` script."""
    orn.main(args=arguments, prog_name="orn")
