"""The `orn` command group.

Commands are imported lazily, so that `orn --help` is fast and a broken dependency disables only the
commands that need it. If a command returns an integer, it becomes the exit code.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from orn.shared.errors import PipelineError
from orn.shared.jobs.exit_codes import errors_as_exit_codes, logging_to_stderr
from orn.shared.text import nearest

_COMMANDS = "orn.commands"
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
        "manifest list": (f"{_MANIFEST}:list_manifests", "List the data sets."),
        "manifest check": (f"{_MANIFEST}:check", "Check label tables and videos."),
        "manifest new": (f"{_MANIFEST}:new", "Create a manifest for your videos."),
        "manifest update": (f"{_MANIFEST}:update", "Add new videos, classes and corrections."),
        "detect": (f"{_COMMANDS}.detect:detect", "Detect objects in every frame."),
        "import-objects": (
            "orn.stage1_detect.imports.import_command:import_objects",
            "Convert detections from other tools to shards.",
        ),
        "export-objects": (
            "orn.stage1_detect.export_command:export_objects",
            "Export detections for other tools.",
        ),
        "verify": (
            "orn.inspect.inspect_commands:verify",
            "Check shards for damage and consistency.",
        ),
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
        "inspect": (
            "orn.inspect.inspect_commands:inspect",
            "Summarize a shard or show one frame.",
        ),
        "report": (
            "orn.stage2_train.report.report_command:report",
            "Write an HTML report of a run.",
        ),
        "compare": (
            "orn.stage2_train.compare.compare_commands:compare",
            "Compare two runs on the same segments.",
        ),
        "runs": ("orn.stage2_train.compare.compare_commands:runs", "List runs side by side."),
        "ablate": (
            "orn.stage2_train.compare.compare_commands:ablate",
            "Train and compare the systems in a table.",
        ),
        "eval-epic100": (
            "orn.stage2_train.compare.compare_commands:eval_epic100",
            "Print EPIC-KITCHENS-100 metrics of two runs.",
        ),
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
