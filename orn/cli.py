"""The `orn` command group.

Commands are imported lazily, so that `orn --help` is fast and a broken dependency disables only the
commands that need it. Only this module configures logging (to stderr) and maps errors to exit
codes: 0 success, 1 failure, 2 usage error, 3 success but some videos failed, 130 interrupted, 143
terminated. If a command returns an integer, it becomes the exit code.
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

from orn.shared.echo import echo, echo_text, line_handler
from orn.shared.errors import PipelineError
from orn.shared.jobs.workers import Terminated, terminated_as_interrupted
from orn.shared.text import nearest, path_text

INTERRUPTED_EXIT_CODE = 130
"""Exit code of a process ended by Ctrl-C (128 + SIGINT)."""
TERMINATED_EXIT_CODE = 143
"""Exit code of a process ended by SIGTERM (128 + SIGTERM)."""

_BENCH = "orn.benchmarks.bench_commands"
_DEMO = "orn.demo.demo_commands"
_MANIFEST = "orn.data_manifests.manifest_commands"
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "doctor": ("orn.doctor:doctor", "Check the installation and suggest fixes."),
        "demo": (f"{_DEMO}:demo", "Run the whole pipeline on small generated videos."),
        "demo world": (f"{_DEMO}:demo_world", "Generate the videos and labels."),
        "run": ("orn.run.run_command:run", "Process a data set from videos to a report."),
    },
    "Prepare": {
        "manifest": ("", "List, check and create data sets."),
        "manifest list": (f"{_MANIFEST}:list_manifests", "List the data sets."),
        "manifest check": (f"{_MANIFEST}:check", "Check label tables and videos."),
        "manifest new": (f"{_MANIFEST}:new", "Create a manifest for your videos."),
        "detect": ("orn.stage1_detect.detect_command:detect", "Detect objects in every frame."),
        "import-objects": (
            "orn.stage1_detect.imports.import_command:import_objects",
            "Convert detections from other tools to shards.",
        ),
        "export-objects": (
            "orn.stage1_detect.export_command:export_objects",
            "Export detections for other tools.",
        ),
        "verify": ("orn.inspect.verify_command:verify", "Check shards for damage and consistency."),
        "clips": (
            "orn.stage2_train.clip_store.clips_command:clips",
            "Store the rescaled frames of a data set.",
        ),
    },
    "Learn": {
        "train": (
            "orn.stage2_train.training.train_command:train",
            "Train the network on clips and shards.",
        ),
        "eval": ("orn.stage2_train.evaluation.eval_command:evaluate", "Evaluate a training run."),
        "baseline": (
            "orn.stage2_train.baseline.baseline_command:baseline",
            "Evaluate simple models on the same objects and maps.",
        ),
        "predict": ("orn.predict.predict_command:predict", "Predict activities in videos."),
        "export": (
            "orn.stage2_train.runs.export_model_command:export",
            "Export a run as a portable model folder.",
        ),
    },
    "Look and compare": {
        "inspect": ("orn.inspect.inspect_command:inspect", "Summarize a shard or show one frame."),
        "report": (
            "orn.stage2_train.report.report_command:report",
            "Write an HTML report of a run.",
        ),
        "compare": (
            "orn.stage2_train.compare.compare_command:compare",
            "Compare two runs on the same segments.",
        ),
        "runs": ("orn.stage2_train.compare.runs_command:runs", "List runs side by side."),
        "ablate": (
            "orn.stage2_train.compare.ablate_command:ablate",
            "Train and compare the systems in a table.",
        ),
        "eval-epic100": (
            "orn.stage2_train.compare.epic100_command:eval_epic100",
            "Print EPIC-KITCHENS-100 metrics of two runs.",
        ),
        "bench": ("", "Measure speed and memory against reference code."),
        "bench object-head": (
            f"{_BENCH}:object_head",
            "Measure the object head against plain loops.",
        ),
        "bench train-step": (
            f"{_BENCH}:train_step",
            "Measure a training step against plain loops.",
        ),
        "bench loader": (f"{_BENCH}:loader", "Measure the clip loader against videos and pickles."),
        "bench detect": (f"{_BENCH}:detect", "Measure detection against inference_detector."),
        "bench gpu": (f"{_BENCH}:gpu", "Run all measurements on a GPU."),
    },
}
"""Commands by heading and name, in help order: the function (`module:attribute`, empty for a group
that is not a command itself) and the help line, which is shown without an import."""


class LazyGroup(click.Group):
    """A click group that imports a command's module when the command is called.

    Args:
        words: prefix of the group's commands in `COMMANDS`, such as `bench `.
        own: command to run if no subcommand is given.
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
        """Return the commands under each heading, by name."""
        sections: dict[str, dict[str, tuple[str, str]]] = {}
        for heading, section in COMMANDS.items():
            for words, entry in section.items():
                name = words.removeprefix(self._words)
                if words.startswith(self._words) and " " not in name:
                    heading = "Commands" if self._words else heading
                    sections.setdefault(heading, {})[name] = entry
        return sections

    def _entries(self) -> dict[str, tuple[str, str]]:
        return {
            name: entry for section in self._sections().values() for name, entry in section.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._entries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._entries():
            return None
        where, help_line = self._entries()[cmd_name]
        own = _import_command(cmd_name, where) if where else None
        words = f"{self._words}{cmd_name} "
        if not any(key.startswith(words) for section in COMMANDS.values() for key in section):
            return own
        return LazyGroup(cmd_name, words=words, own=own, help=help_line)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self._entries()
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"unknown command {name!r}; did you mean {nearest(name, known)!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self._entries()))
        for heading, section in self._sections().items():
            with formatter.section(heading):
                rows = [(f"{name:{width}}", line) for name, (_, line) in section.items()]
                formatter.write_dl(rows)


def _only_without_subcommand(command: click.Command) -> Callable[..., Any]:
    """Return a callback that runs `command`, or rejects its options if a subcommand is given."""

    def callback(**values: Any) -> Any:
        context = click.get_current_context()
        if context.invoked_subcommand is None:
            return context.invoke(command, **values)
        for parameter in command.params:
            if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
                raise click.UsageError(
                    f"{parameter.opts[0]} before {context.invoked_subcommand!r} has no effect; put "
                    "options after the subcommand"
                )
        return None

    return callback


class _Program(LazyGroup):
    """The top-level group, which sets up logging and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        with _logging_to_stderr(ctx.params["verbose"]):
            try:
                with _paths_as_errors():
                    return super().invoke(ctx)
            except PipelineError:
                logging.getLogger(__name__).debug("traceback of the error:", exc_info=True)
                raise

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
        with _errors_as_exit_codes():
            result = super().main(args, prog_name, standalone_mode=False, **extra)
            sys.stdout.flush()  # a closed pipe raises an error here, not at exit
            _leave_process_group()
            sys.exit(result if isinstance(result, int) else 0)


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


@contextmanager
def _paths_as_errors() -> Iterator[None]:
    """Convert an `OSError` with a path, such as an overlong name, to a PipelineError."""
    try:
        yield
    except OSError as err:
        if isinstance(err, PipelineError) or err.filename is None:
            raise
        raise PipelineError(f"{path_text(err.filename)}: {err.strerror}") from err


@contextmanager
def _errors_as_exit_codes() -> Iterator[None]:
    """Print an error or an interruption on stderr and exit with its exit code."""
    try:
        with terminated_as_interrupted():
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
        # The reader closed the pipe, as `orn inspect ... | head` does.
        _discard_output()
        sys.exit(1)
    except OSError as err:
        if err.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _discard_output()
        _fail(f"orn: error: {err.strerror}; free some disk space and run the command again", 1)


def _discard_output() -> None:
    """Redirect stdout to /dev/null, so that the flush at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, exit_code: int) -> None:
    echo(message, err=True)
    sys.exit(exit_code)


@contextmanager
def _logging_to_stderr(verbosity: int) -> Iterator[None]:
    """Log to stderr: from INFO for `orn`, from WARNING for other packages; each -v adds a level."""
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
@click.option(
    "-v", "--verbose", count=True, help="Log debug messages; -vv: also from other packages."
)
@click.version_option(package_name="object-relation-network", prog_name="orn")
def orn(verbose: int) -> None:
    """Object-level visual reasoning in videos."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the `orn` command line."""
    orn.main(args=arguments, prog_name="orn")
