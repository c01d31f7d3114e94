"""The model card of an export: what the network is, how good it was, and what nobody has tried."""

from collections.abc import Iterator
from pathlib import Path

from shared.errors import CheckpointError
from shared.text_table import markdown, printable
from stage2_train.insight.measured import EvalFile, read_eval
from stage2_train.runs.model_folder import ModelConfig

_LISTED_CLASSES = 200


def model_card(config: ModelConfig, run: Path, *, name: str) -> str:
    """The card as Markdown.

    Args:
        config: of the exported model.
        run: where measurements lie, `eval-*.json` and `predictions-*.npz`.
        name: of the folder.
    """
    return "\n".join([*_head(config, name), *_metrics(config, run), *_limits(config)]) + "\n"


def _head(config: ModelConfig, name: str) -> Iterator[str]:
    record, recipe, clips = config.dataset, config.recipe, config.clips
    system = "" if config.system is None else f", system {_text(config.system)}"
    size = f"{clips.height} x {clips.width}"
    if clips.short_side is not None:
        size = f"a short side of {clips.short_side}"
    rate = "" if clips.rate is None else f" at {clips.rate:g} a second"
    rows = [
        ("", ""),
        ("data set", f"{_text(record.name)}, {record.num_train} training segments"),
        ("classes", f"{len(record.classes)}, {record.task}"),
        ("recipe", f"{_text(config.recipe_name)}{system}, seed {recipe.seed}, step {config.step}"),
        ("network", f"{recipe.model.architecture}, {recipe.model.backbone}, heads: {config.heads}"),
        (
            "clips",
            f"{clips.clip_frames} frames{rate}, rescaled to {size}, "
            f"crop {recipe.data.crop[0]} x {recipe.data.crop[1]}",
        ),
        (
            "objects",
            f"at most {recipe.data.max_objects} a frame, of score {recipe.data.score_threshold} up",
        ),
        ("detector", f"`{_code(record.detector)}`"),
        ("training data", f"`{_code(record.train_digest)}` (ids, times and labels)"),
    ]
    yield from ("---", "tags:", "- video-classification", "- object-relations", "---", "")
    yield f"# {_text(name)}"
    yield ""
    yield "A network that tells activities in videos from how detected objects relate over time"
    yield "(Baradel et al., Object level visual reasoning in videos, ECCV 2018)."
    yield from ("", markdown(rows), "", "## Use", "")
    needs = "" if config.detector_file else " --checkpoint DETECTOR.pth"
    yield "The detector's weights are " + (
        f"in `{config.detector_file}`." if config.detector_file else "not in this folder."
    )
    yield from ("", "```", f"orn predict {_code(name)} VIDEO.mp4{needs}")
    yield f"orn eval {_code(name)} --data data --split validation"
    yield from ("```", "", "## Classes", "")
    listed = record.classes[:_LISTED_CLASSES]
    more = (
        f", and {len(record.classes) - len(listed)} more"
        if len(record.classes) > len(listed)
        else ""
    )
    yield ", ".join(map(_text, listed)) + more + "."
    yield ""


def _metrics(config: ModelConfig, run: Path) -> Iterator[str]:
    yield from ("## Measured", "")
    rows: list[tuple[str, ...]] = [
        ("measurement", "head", config.dataset.metric, "95 % over its films", "films", "chance")
    ]
    for path in sorted(run.glob("eval-*.json")):
        try:
            rows += _rows_of(read_eval(path), config, path.stem.removeprefix("eval-"))
        except CheckpointError:
            continue  # of another version, or damaged
    if len(rows) == 1:
        yield "Nothing was measured before the export; `orn eval` does."
        yield ""
        return
    yield markdown(rows)
    yield ""
    yield "Intervals are of other films of the same kind for this one training; another seed moves"
    yield "figures, too."
    yield ""


def _rows_of(file: EvalFile, config: ModelConfig, label: str) -> list[tuple[str, ...]]:
    metric, step = config.dataset.metric, "" if file.step == config.step else f" (step {file.step})"
    rows: list[tuple[str, ...]] = []
    for head, figures in file.heads().items():
        if metric not in figures:
            continue
        ends = file.interval(head, metric)  # of older reports none
        interval = "-" if ends is None else " to ".join(f"{each:.4f}" for each in ends)
        numbers = f"{figures[metric]:.4f}", interval, str(file.num_segments), f"{file.chance:.4f}"
        rows.append((f"{_text(label)}{step}", head, *numbers))
    return rows


def _limits(config: ModelConfig) -> Iterator[str]:
    longest = config.clips.longest_seconds
    yield from ("## Not tested", "")
    yield f"- On any data set but {_text(config.dataset.name)}: other cameras, places and people."
    yield f"- With objects of another detector than {_text(config.dataset.detector)}."
    yield (
        "- For activities that are none of its classes: it always names one."
        if (config.dataset.task == "single-label")
        else "- Whether its probabilities are calibrated."
    )
    if longest is not None:
        yield f"- On stretches longer than {longest:.2f} s, the longest that it was trained on."
    yield "- For any decision about people."


def _text(text: str) -> str:
    """A name as Markdown has it, without what would be read as markup."""
    return "".join(f"\\{each}" if each in "\\`*_<>[]|#" else each for each in printable(text))


def _code(text: str) -> str:
    """The same inside of backticks."""
    return printable(text).replace("`", "'")
