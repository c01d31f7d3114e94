"""`orn bench`: one command a benchmark, each imported when it is asked for."""

import importlib

import click

from shared.nearest import nearest

__all__ = ["BENCHES", "bench"]

BENCHES: dict[str, str] = {
    "object-head": "Object head, forward and backward, against plain loops.",
    "train-step": "A whole training step against the same network with plain loops.",
    "loader": "Clips with masks a second against decoding videos and unpickling masks.",
    "detect": "Detecting a video against a loop of inference_detector and pycocotools.",
    "detect-overhead": "Everything in detect but the network, as a share of the network's time.",
    "detect-memory": "Peak memory of detecting a long video against a short one.",
    "shard-size": "Bytes of shards against the authors' pickles of the same masks.",
}
"""Name of a benchmark and the line of help shown without importing it; `object-head` is the command
`bench` of the module `benchmarks.object_head`."""


class _LazyBenches(click.Group):
    """A click group that imports a benchmark's module when the benchmark is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(BENCHES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in BENCHES:
            return None
        command = importlib.import_module(f"benchmarks.{cmd_name.replace('-', '_')}").bench
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in BENCHES and not name.startswith("-"):
            ctx.fail(f"there is no benchmark {name!r}; did you mean {nearest(name, BENCHES)!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Benchmarks"):
            formatter.write_dl(list(BENCHES.items()))


@click.group("bench", cls=_LazyBenches)
def bench() -> None:
    """Measure this installation against references, in one run.

    Each prints a ratio with both measurements; --json adds the machine and the versions, and --out
    keeps the result in a file.
    """
