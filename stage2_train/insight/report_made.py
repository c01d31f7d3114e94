"""How a run was made: recipe, detector, digests of data and weights, command lines."""

import shlex

from shared.config.bounded import file_digest, read_bounded
from shared.errors import CheckpointError
from stage2_train.insight.looking import Looker
from stage2_train.insight.report_page import Section, listed_facts, shown, table
from stage2_train.runs.run_config import segments_digest
from stage2_train.runs.run_folder import CONFIG_NAME, STARTS_NAME, read_jsonl

_SHOWN_STARTS, _SHOWN_COMMANDS = 20, 3
"""The last ones."""


def made_section(looker: Looker) -> Section:
    """The part of a report that says so of its run."""
    run, config, trained = looker.run, looker.config, looker.trained
    joined, sources, starts = looker.joined, looker.sources, read_jsonl(run / STARTS_NAME)
    paths, digest = config.paths, file_digest(trained.path, error=CheckpointError)
    facts = [
        ("run", str(run)),
        ("data set", config.dataset.name),
        ("recipe", config.recipe_name),
        ("system", config.system or "as the recipe says"),
        ("weights", f"{trained.path.name}, step {trained.step}, {digest}"),
        ("started from", config.weights_digest or "random weights"),
        ("detector in training", config.dataset.detector),
        ("detector here", sources.detector),
        ("training segments", f"{config.dataset.num_train}, {config.dataset.train_digest}"),
        (f"{joined.split} segments", f"{len(joined.segments)}, {segments_digest(joined.segments)}"),
        ("shards", str(paths.shards)),
        ("clip store", str(paths.clips or "none: frames decoded from the videos")),
    ]
    for start in starts[-_SHOWN_COMMANDS:]:
        command = start.get("command")
        if isinstance(command, list) and command:
            facts.append(("command", shlex.join(["orn", *map(str, command[1:])])))
    rows = [
        [shown(str(each.get(name, ""))) for name in ("time", "commit", "threads", "platform")]
        for each in starts[-_SHOWN_STARTS:]
    ]
    recipe = read_bounded(run / CONFIG_NAME).decode(errors="replace")
    return Section(
        id="made",
        title="How it was made",
        parts=[
            listed_facts(facts),
            table(
                ("started", "commit", "threads", "platform"),
                rows,
                texts=(0, 1, 3),
                name="Starts of the training",
            ),
            '<details class="print"><summary>Recipe and settings (config.toml)</summary>'
            f"<pre>{shown(recipe, 20_000, lines=True)}</pre></details>",
        ],
    )
