"""The job behind `orn export`: the network of a run as a folder to take along, with a card that
says what it is, how good it was, and what nobody has tried."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from orn.shared.config.bounded import file_digest, require_utf8, shown
from orn.shared.config.files import to_dict
from orn.shared.errors import CheckpointError, ConfigError, DetectorError
from orn.shared.jobs.atomic_file import remove_stale_temporaries, replacing, write_text
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.jobs.same_job import differences
from orn.shared.manifests.load import shipped_detectors
from orn.shared.report import Table, markdown
from orn.shared.text import counted, printable
from orn.stage2_train.evaluation.eval_file import UNSURE_NEGATIVE, EvalFile, read_eval
from orn.stage2_train.runs.checkpoint import save_best
from orn.stage2_train.runs.hub import CARD_NAME, DETECTOR_NAME
from orn.stage2_train.runs.run_config import RunConfig, read_config, write_config
from orn.stage2_train.runs.run_folder import BEST_NAME, CONFIG_NAME
from orn.stage2_train.runs.trained import OpenedModel, open_model

_LISTED_CLASSES = 200


def export_run(
    run: Path, out: Path, *, with_detector: bool = False, checkpoint: Path | None = None
) -> tuple[str, ...]:
    """Copies the configuration of a run without the places of its data, and its best weights, to a
    folder, and adds a model card; says which files.

    Each file is whole or absent. What the run exported into the folder before is replaced, and an
    export that was interrupted is finished.

    Args:
        run: folder of a run.
        out: folder; made where there is none.
        with_detector: whether the detector's weights come along.
        checkpoint: file of these; None takes those of the project.

    Raises:
        ConfigError: if `run` is no run, or `out` holds other things or another model.
        CheckpointError: if the run has no weights that can be used.
        DetectorError: if the detector's weights are not known, or others.
        PipelineError: if the disk refuses.
    """
    require_utf8(out)
    check_output_folder(out, ours=[CONFIG_NAME], reads=[run])
    model = open_model(run, device="cpu")
    config = replace(model.config, places=None)
    _check_same_model(out, config)
    detector = _detector_file(config, checkpoint) if with_detector else None
    names = [CONFIG_NAME, BEST_NAME, CARD_NAME]
    remove_stale_temporaries(out)
    write_config(out, config)  # first, since it tells whose the folder is
    save_best(out, model.network.state_dict(), phase=model.phase, step=model.step)
    if detector is not None:
        with replacing(out / DETECTOR_NAME) as temporary:
            shutil.copyfile(detector, temporary)
        names.append(DETECTOR_NAME)
    card = [*_head(model, out), *_metrics(model, run), *_limits(config)]
    write_text(out / CARD_NAME, "\n".join(card) + "\n")
    return tuple(names)


def _check_same_model(out: Path, config: RunConfig) -> None:
    """Raise ConfigError if a folder is not an export of a run of the same settings and data."""
    if not (out / CONFIG_NAME).exists():
        return
    try:
        earlier = read_config(out)
    except ConfigError as err:
        found = [str(err)]
    else:
        there, here = (to_dict(each) for each in (earlier, config))
        found = differences(there, here, words=("there", "here"))
        if earlier.places is not None:
            found = ["a run"]
    if found:
        raise ConfigError(
            f"{shown(out)}: expected a new folder or an earlier export of this run, got another "
            f"model ({'; '.join(found)}); choose another folder"
        )


def _detector_file(config: RunConfig, checkpoint: Path | None) -> Path:
    """The weights of the detector that a network was trained with."""
    wanted = config.detector.checkpoint_digest
    candidates = [checkpoint] if checkpoint is not None else []
    if checkpoint is None:
        candidates = [each.checkpoint for each in shipped_detectors().values() if each.checkpoint]
    for path in candidates:
        if file_digest(path, error=DetectorError) == wanted:
            return path
    found = "they are not part of this installation" if checkpoint is None else f"{checkpoint} has"
    more = "; say --checkpoint FILE" if checkpoint is None else " others"
    raise DetectorError(f"--with-detector: wanted the weights {wanted}, {found}{more}")


def _head(model: OpenedModel, out: Path) -> Iterator[str]:
    config, name = model.config, out.resolve().name
    record, recipe, clips = config.dataset, config.recipe, config.clips
    system = "" if config.system is None else f", system {_text(config.system)}"
    size, rate = clips.frames.describe_size(), clips.frames.rate
    at_rate = "" if rate is None else f" at {rate:g} a second"
    rows = [
        ("", ""),
        ("data set", f"{_text(record.name)}, {counted(record.num_train, 'training segment')}"),
        ("classes", f"{len(record.classes)}, {record.task}"),
        ("recipe", f"{_text(config.recipe_name)}{system}, seed {recipe.seed}, step {model.step}"),
        ("network", f"{recipe.model.architecture}, {recipe.model.backbone}, heads: {model.heads}"),
        (
            "clips",
            f"{counted(recipe.data.clip_frames, 'frame')}{at_rate}, rescaled to {size}, "
            f"crop {recipe.data.crop[0]} x {recipe.data.crop[1]}",
        ),
        (
            "objects",
            f"at most {recipe.data.max_objects} a frame, of score {recipe.data.score_threshold} up",
        ),
        ("detector", f"`{_code(config.detector.title)}`"),
        ("training data", f"`{_code(record.train_digest)}` (ids, times and labels)"),
    ]
    yield from ("---", "tags:", "- video-classification", "- object-relations", "---", "")
    yield f"# {_text(name)}"
    yield ""
    yield "A network that tells activities in videos from how detected objects relate over time"
    yield "(Baradel et al., Object level visual reasoning in videos, ECCV 2018)."
    yield from ("", markdown(Table(header=rows[0], rows=rows[1:])), "", "## Use", "")
    has_detector = (out / DETECTOR_NAME).exists()
    needs = "" if has_detector else " --checkpoint DETECTOR.pth"
    place = f"in `{DETECTOR_NAME}`" if has_detector else "not in this folder"
    yield f"The detector's weights are {place}."
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


def _metrics(model: OpenedModel, run: Path) -> Iterator[str]:
    yield from ("## Measured", "")
    rows: list[tuple[str, ...]] = [
        ("measurement", "head", model.config.dataset.metric, "95 % interval", "segments", "chance")
    ]
    unsure = []
    for path in sorted(run.glob("eval-*.json")):
        label = path.stem.removeprefix("eval-")
        try:
            file = read_eval(path)
        except CheckpointError:
            continue  # of another version, or damaged
        rows += _rows_of(file, model, label)
        if text := file.unsure_text():
            unsure.append(f"In {_text(label)}, {text}.")
    if len(rows) == 1:
        yield "Nothing was measured before the export; `orn eval` does."
        yield ""
        return
    yield markdown(Table(header=rows[0], rows=rows[1:]))
    yield from ("", *unsure)
    yield "Intervals say what other videos or participants of the same kind would give for this one"
    yield "training; another seed moves figures, too."
    yield ""


def _rows_of(file: EvalFile, model: OpenedModel, label: str) -> list[tuple[str, ...]]:
    metric = model.config.dataset.metric
    step = "" if file.step == model.step else f" (step {file.step})"
    seen = " (trained on)" if file.trained_on else ""
    rows: list[tuple[str, ...]] = []
    for head, figures in file.heads().items():
        for name in (name for name in (metric, UNSURE_NEGATIVE) if name in figures):
            ends = file.interval(head, name)  # of older reports none
            interval = "-" if ends is None else " to ".join(f"{each:.4f}" for each in ends)
            if ends is not None and file.drawn is not None:
                interval += f" over {file.drawn.num_groups:,} {file.drawn.over}"
            numbers = f"{figures[name]:.4f}", interval, str(file.num_segments), f"{file.chance:.4f}"
            of = "" if name == metric else f", {name}"
            rows.append((f"{_text(label)}{of}{seen}{step}", head, *numbers))
    return rows


def _limits(config: RunConfig) -> Iterator[str]:
    longest = config.clips.longest_seconds
    yield from ("## Not tested", "")
    yield f"- On any data set but {_text(config.dataset.name)}: other cameras, places and people."
    yield f"- With objects of another detector than {_text(config.detector.title)}."
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
