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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from shared.errors import PipelineError
from shared.jobs.termination import Terminated
from shared.nearest import nearest

__all__ = ["COMMANDS", "LazyGroup", "main", "orn"]

INTERRUPTED_EXIT_CODE = 130
"""What a shell reports for a program ended by ctrl-C (128 + SIGINT)."""
TERMINATED_EXIT_CODE = 143
"""What a shell reports for a program ended by SIGTERM (128 + SIGTERM)."""

_OUR_PACKAGES = ("shared", "stage1_detect", "stage2_train", "data_manifests", "demo", "benchmarks")


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is defined, and the line of help shown without importing it."""

    module: str
    attribute: str
    help: str


# In the order in which a user meets them.
COMMANDS: dict[str, LazyCommand] = {
    "doctor": LazyCommand(
        "shared.doctor", "doctor", "Say what is installed, what works and how to mend the rest."
    ),
    "demo": LazyCommand("demo.commands", "demo", "Run everything once on small generated videos."),
    "demo-world": LazyCommand(
        "demo.commands", "demo_world", "Generate the videos and labels of the demo."
    ),
    "demo-truth": LazyCommand(
        "demo.commands", "demo_truth", "Write what demo films truly show as shards."
    ),
    "demo-reverse": LazyCommand(
        "demo.commands", "demo_reverse", "Measure a run with demo films backwards."
    ),
    "demo-leaks": LazyCommand(
        "demo.commands", "demo_leaks", "Say what gives a demo's labels away."
    ),
    "demo-tables": LazyCommand(
        "demo.commands", "demo_tables", "Repeat the paper's comparisons on a demo."
    ),
    "demo-detector": LazyCommand(
        "demo.commands", "demo_detector", "Train the small detector of the demo."
    ),
    "manifest": LazyCommand(
        "shared.manifests.commands", "manifest", "List data sets, check their files, make new ones."
    ),
    "detect": LazyCommand(
        "stage1_detect.commands", "detect", "Find the objects of every frame and write shards."
    ),
    "import-masks": LazyCommand(
        "stage1_detect.imports.commands", "import_masks", "Turn released masks into shards."
    ),
    "export-coco": LazyCommand(
        "stage1_detect.exports.commands", "export_coco", "Write detections as COCO results."
    ),
    "verify": LazyCommand(
        "shared.inspect.commands", "verify", "Check that shards are whole and consistent."
    ),
    "inspect": LazyCommand(
        "shared.inspect.commands", "inspect", "Show what a shard holds, down to one frame."
    ),
    "clips": LazyCommand(
        "stage2_train.frames.commands", "clips", "Store the rescaled frames of a data set."
    ),
    "overlay": LazyCommand(
        "stage2_train.clips.commands", "overlay", "Draw masks on stored frames, to look at."
    ),
    "systems": LazyCommand(
        "stage2_train.systems_commands", "systems", "List every system of the paper's tables."
    ),
    "model": LazyCommand(
        "stage2_train.systems_commands", "model", "Say what a network is made of."
    ),
    "train": LazyCommand(
        "stage2_train.commands", "train", "Train the network on clips and shards."
    ),
    "eval": LazyCommand("stage2_train.commands", "evaluate", "Evaluate a training run."),
    "ablate": LazyCommand(
        "stage2_train.ablation.commands", "ablate", "Train and compare the systems of a table."
    ),
    "curve": LazyCommand(
        "stage2_train.ablation.commands", "curve", "Join reports of ablate as one curve."
    ),
    "bench": LazyCommand(
        "benchmarks.commands", "bench", "Measure this installation against references."
    ),
}


class LazyGroup(click.Group):
    """A click group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else _import_command(cmd_name, entry)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {name!r}; did you mean {nearest(name, COMMANDS)!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

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


def _import_command(name: str, entry: LazyCommand) -> click.Command:
    """The command of a table entry.

    Raises:
        PipelineError: if its module, or a package that the module needs, is not installed.
    """
    try:
        module = importlib.import_module(entry.module)
    except ModuleNotFoundError as err:
        if err.name is not None and f"{entry.module}.".startswith(f"{err.name}."):
            raise PipelineError(
                f"the command {name!r} is not part of this installation (no module {err.name!r})"
            ) from err
        raise PipelineError(
            f"the command {name!r} needs the Python package {err.name!r}, which is not installed; "
            "`orn doctor` says how to get it"
        ) from err
    command = getattr(module, entry.attribute, None)
    if not isinstance(command, click.Command):
        raise PipelineError(
            f"the command {name!r} is not part of this installation "
            f"(no command {entry.attribute!r} in {entry.module!r})"
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
    cls=LazyGroup,
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


if __name__ == "__main__":
    main()
