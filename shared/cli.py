"""The `orn` command group.

Each command lives with the code it calls and is imported only when it is asked for, so that
`orn --help` stays fast and one broken dependency leaves the other commands usable. This is the only
place that configures logging (to stderr) and turns errors into exit codes: 0 done, 1 failed,
2 wrong usage, 3 finished but some videos failed, 130 interrupted, 143 terminated. A command that
returns a whole number ends with it as its exit code.
"""

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from click.core import ParameterSource

from shared.errors import PipelineError
from shared.jobs.termination import Terminated
from shared.nearest import nearest

__all__ = ["COMMANDS", "LazyCommand", "LazyGroup", "main", "orn"]

INTERRUPTED_EXIT_CODE = 130
"""What a shell reports for a program ended by ctrl-C (128 + SIGINT)."""
TERMINATED_EXIT_CODE = 143
"""What a shell reports for a program ended by SIGTERM (128 + SIGTERM)."""

_OUR_PACKAGES = ("shared", "stage1_detect", "stage2_train", "data_manifests", "demo", "benchmarks")


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command or a group, known without importing it."""

    help: str
    """The line that the list of commands shows."""
    where: str | None = None
    """`module:attribute`; None for a group that does nothing by itself."""
    commands: Mapping[str, "LazyCommand"] = field(default_factory=dict)
    """What a group holds."""


_DEMO = {
    "world": LazyCommand("Generate the videos and labels.", "demo.commands:demo_world"),
    "truth": LazyCommand("Write what the films truly show as shards.", "demo.commands:demo_truth"),
    "detector": LazyCommand("Train the small detector of the demo.", "demo.commands:demo_detector"),
    "leaks": LazyCommand("Say what gives the labels away.", "demo.commands:demo_leaks"),
    "tables": LazyCommand(
        "Repeat the paper's comparisons on the films.", "demo.commands:demo_tables"
    ),
    "reverse": LazyCommand("Measure a run with films backwards.", "demo.commands:demo_reverse"),
}
_MANIFEST = {
    "list": LazyCommand(
        "List the data sets that come with the project.",
        "shared.manifests.commands:list_manifests",
    ),
    "check": LazyCommand(
        "Check label tables and videos of a data set.", "shared.manifests.commands:check"
    ),
    "new": LazyCommand("Write a manifest for videos of your own.", "shared.manifests.commands:new"),
}
_MODEL = {
    "summary": LazyCommand(
        "Print layers, shapes, parameters and multiply-adds.",
        "stage2_train.systems_commands:summary",
    ),
    "export": LazyCommand(
        "Write a run's ResNet for other trainings.", "stage2_train.systems_commands:export"
    ),
}
_BENCH = {
    "object-head": LazyCommand(
        "Object head, forward and backward, against plain loops.", "benchmarks.commands:object_head"
    ),
    "train-step": LazyCommand(
        "A whole training step against the same network with plain loops.",
        "benchmarks.commands:train_step",
    ),
    "loader": LazyCommand(
        "Clips with masks a second against decoding videos and unpickling masks.",
        "benchmarks.commands:loader",
    ),
    "detect": LazyCommand(
        "Detecting a video against a loop of inference_detector and pycocotools.",
        "benchmarks.detect:bench",
    ),
    "detect-overhead": LazyCommand(
        "Everything in detect but the network, as a share of the network's time.",
        "benchmarks.detect_overhead:bench",
    ),
    "detect-memory": LazyCommand(
        "Peak memory of detecting a long video against a short one.",
        "benchmarks.commands:detect_memory",
    ),
    "shard-size": LazyCommand(
        "Bytes of shards against the authors' pickles of the same masks.",
        "benchmarks.shard_size:bench",
    ),
}

# In the order in which a user meets them.
COMMANDS: dict[str, dict[str, LazyCommand]] = {
    "First look": {
        "doctor": LazyCommand(
            "Say what is installed, what works and how to mend the rest.", "shared.doctor:doctor"
        ),
        "demo": LazyCommand(
            "Run everything once on small generated videos.", "demo.commands:demo", _DEMO
        ),
    },
    "Data": {
        "manifest": LazyCommand(
            "List data sets, check their files, make new ones.", commands=_MANIFEST
        ),
        "clips": LazyCommand(
            "Store the rescaled frames of a data set.", "stage2_train.frames.commands:clips"
        ),
    },
    "Detect": {
        "detect": LazyCommand(
            "Find the objects of every frame and write shards.", "stage1_detect.commands:detect"
        ),
        "import-masks": LazyCommand(
            "Turn released masks into shards.", "stage1_detect.imports.commands:import_masks"
        ),
        "export-coco": LazyCommand(
            "Write detections as COCO results.", "stage1_detect.exports.commands:export_coco"
        ),
    },
    "Look": {
        "inspect": LazyCommand(
            "Show what a shard holds, down to one frame.", "shared.inspect.commands:inspect"
        ),
        "verify": LazyCommand(
            "Check that shards are whole and consistent.", "shared.inspect.commands:verify"
        ),
        "overlay": LazyCommand(
            "Draw masks on stored frames, to look at.", "stage2_train.clips.commands:overlay"
        ),
    },
    "Train": {
        "train": LazyCommand(
            "Train the network on clips and shards.", "stage2_train.commands:train"
        ),
        "eval": LazyCommand("Evaluate a training run.", "stage2_train.commands:evaluate"),
    },
    "Compare": {
        "systems": LazyCommand(
            "List every system of the paper's tables.", "stage2_train.systems_commands:systems"
        ),
        "model": LazyCommand("Say what a network is made of.", commands=_MODEL),
        "ablate": LazyCommand(
            "Train and compare the systems of a table.", "stage2_train.ablation.commands:ablate"
        ),
        "curve": LazyCommand(
            "Join reports of ablate as one curve.", "stage2_train.ablation.commands:curve"
        ),
    },
    "Measure": {
        "bench": LazyCommand("Measure this installation against references.", commands=_BENCH),
    },
}
"""Heading, name, command."""


class LazyGroup(click.Group):
    """A click group that imports a command's module when the command is called.

    With `own`, a command, the group does what that command does where no sub-command is named.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        sections: Mapping[str, Mapping[str, LazyCommand]],
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
        self._sections = sections

    def _entries(self) -> dict[str, LazyCommand]:
        return {
            name: entry for section in self._sections.values() for name, entry in section.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._entries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries().get(cmd_name)
        if entry is None:
            return None
        own = _import_command(cmd_name, entry.where) if entry.where else None
        if not entry.commands:
            return own
        return LazyGroup(cmd_name, sections={"Commands": entry.commands}, own=own, help=entry.help)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self._entries()
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {name!r}; did you mean {nearest(name, known)!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self._entries()))
        for heading, section in self._sections.items():
            with formatter.section(heading):
                rows = [(f"{name:{width}}", entry.help) for name, entry in section.items()]
                formatter.write_dl(rows)


def _only_without_subcommand(command: click.Command) -> Callable[..., Any]:
    """The callback of `command`, which refuses its options before a sub-command."""

    def callback(**values: Any) -> Any:
        context = click.get_current_context()
        if context.invoked_subcommand is None:
            return context.invoke(command, **values)
        for name in values:
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                option = next(each for each in command.params if each.name == name).opts[0]
                raise click.UsageError(
                    f"{option} before {context.invoked_subcommand!r} has no effect; "
                    "give options after the name of the sub-command"
                )
        return None

    return callback


class _Program(LazyGroup):
    """The outermost group: logging and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        with _logging_to_stderr(ctx.params["verbose"]):
            try:
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
            sys.exit(result if isinstance(result, int) else 0)


def _import_command(name: str, where: str) -> click.Command:
    """The command at `module:attribute`.

    Raises:
        PipelineError: if its module, or a package that the module needs, is not installed.
    """
    module_name, _, attribute = where.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as err:
        if err.name is not None and f"{module_name}.".startswith(f"{err.name}."):
            raise PipelineError(
                f"the command {name!r} is not part of this installation (no module {err.name!r})"
            ) from err
        raise PipelineError(
            f"the command {name!r} needs the Python package {err.name!r}, which is not installed; "
            "`orn doctor` says how to get it"
        ) from err
    command = getattr(module, attribute, None)
    if not isinstance(command, click.Command):
        raise PipelineError(
            f"the command {name!r} is not part of this installation "
            f"(no command {attribute!r} in {module_name!r})"
        )
    return command


@contextmanager
def _errors_as_exit_codes() -> Iterator[None]:
    """Reports what ends a command early on stderr and exits with the code that goes with it."""
    try:
        yield
    except PipelineError as err:
        _fail(f"orn: error: {' '.join(str(err).splitlines())}", err.exit_code)
    except click.ClickException as err:
        err.show()
        sys.exit(err.exit_code)
    except (click.Abort, KeyboardInterrupt) as err:
        if isinstance(err, Terminated) or isinstance(err.__cause__, Terminated):
            _fail("orn: terminated", TERMINATED_EXIT_CODE)
        _fail("orn: interrupted", INTERRUPTED_EXIT_CODE)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`orn inspect ... | head`). The interpreter
        # flushes stdout once more at exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(message: str, exit_code: int) -> None:
    click.echo(message, err=True)
    sys.exit(exit_code)


@contextmanager
def _logging_to_stderr(verbosity: int) -> Iterator[None]:
    """Sends log records to stderr: ours from INFO up, others' from WARNING up; each -v one level
    more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    levels = {root: root.level}
    root.addHandler(handler)
    root.setLevel((logging.WARNING, logging.WARNING, logging.INFO)[min(verbosity, 2)])
    for name in _OUR_PACKAGES:
        logger = logging.getLogger(name)
        levels[logger] = logger.level
        logger.setLevel(logging.DEBUG if verbosity else logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for logger, level in levels.items():
            logger.setLevel(level)


@click.command(
    cls=_Program,
    name="orn",
    sections=COMMANDS,
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


if __name__ == "__main__":
    main()
