"""What the parts of a report say: each from what was found to HTML and pictures."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from orn.shared.text_table import counted
from orn.stage2_train.insight.class_pairs import ClassPair, ClassPairs
from orn.stage2_train.insight.figures import node_name
from orn.stage2_train.insight.measured import Measured
from orn.stage2_train.insight.paper_table1 import TABLE_1, TABLE_1_MAP
from orn.stage2_train.insight.report_page import Picture, Section, scrolling, shown, table

_Figure = list[str | Picture]
"""HTML, and the pictures in it."""
_LARGEST_MATRIX = 40
"""Classes of a confusion matrix that is shown as a table of buttons."""
_LISTED_CONFUSIONS = 60
_OPEN_GRAPHS = 6
_LISTED_PAIRS = 5


def headline(measured: Measured) -> str:
    """The figures that matter, large."""
    file = measured.file
    head, figures = next(iter(file.heads().items()))
    seen = ", which the run was trained on" if file.trained_on else ""
    over = f" over {file.drawn.over}" if file.drawn else ""
    boxes = [
        (f"{_percent(figures[file.metric])} %", f"{file.metric} of {head.replace('_', ' ')}"),
        (_range(file.interval(head, file.metric)), f"95 % interval{over}, %"),
        (f"{_percent(file.chance)} %", "chance"),
        (f"{file.num_segments:,}", f"segments of {shown(file.split)}{seen}"),
    ]
    inner = "".join(f"<div><b>{value}</b><span>{text}</span></div>" for value, text in boxes)
    return f'<div class="headline">{inner}</div>'


def scores_section(measured: Measured, curves: Picture | None) -> Section:
    """Scores of the heads, curves of the training, a table by class."""
    file = measured.file
    rows = [
        [
            head.replace("_", " "),
            shown(name),
            _percent(value) if name.startswith(("top", "map")) else f"{value:g}",
            _range(file.interval(head, name)),
        ]
        for head, figures in file.heads().items()
        for name, value in figures.items()
    ]
    rows.append(["chance", shown(file.metric), _percent(file.chance), ""])
    drawn = f"; intervals come from {file.drawn.as_text()}" if file.drawn else ""
    unsure = f"{text.capitalize()}." if (text := file.unsure_text()) else ""
    parts: list[str | Picture] = [
        f"<p>{counted(file.num_segments, 'segment')}, {counted(file.clips, 'clip')} of each; "
        f"{counted(file.num_skipped, 'segment')} could not be used. Weights: "
        f"{shown(file.checkpoint)} of step {file.step:,}. Figures are those of "
        f"<code>orn eval</code>{drawn}. {unsure}</p>",
        table(
            ("head", "metric", "%", "95 % interval"),
            rows,
            texts=(0, 1),
            name="Scores of the heads",
        ),
    ]
    if curves is not None:
        parts += ["<h3>Training</h3><figure>", curves, "</figure>"]
    parts.append(_class_table(measured))
    return Section(id="scores", title="Scores", parts=parts)


def _class_table(measured: Measured) -> str:
    file = measured.file
    heads = list(file.heads())
    paper = TABLE_1 if file.dataset == "vlog" else {}
    rows = [
        [
            shown(row.name),
            f"{row.num_segments:,}",
            *(_percent(getattr(row, head)) for head in heads),
            _range(measured.class_interval(place)),
            *(f"{values[row.name]:.1f}" if row.name in values else "" for values in paper.values()),
        ]
        for place, row in enumerate(file.per_class)
    ]
    if paper:
        mean = [file.heads()[head].get("map") for head in heads]
        means = [f"{value:.1f}" for value in TABLE_1_MAP.values()]
        rows.append(["mean", "", *(_percent(value) for value in mean), "", *means])
    what = "accuracy" if measured.single else "average precision"
    note = (
        "The last columns are Table 1 of the paper, on the test set and with labels that "
        "annotators could not tell as negative; compare --split test of a run that was trained "
        "with data.unsure_in_evaluation=negative. "
        if paper
        else ""
    )
    return "<h3>Classes</h3>" + table(
        (
            "class",
            "segments",
            *(f"{head.replace('_', ' ')}, %" for head in heads),
            f"95 % interval of {heads[0].replace('_', ' ')}",
            *(f"paper: {name}" for name in paper),
        ),
        rows,
        caption=f"{what} of each class. {note}No interval below 5 segments.",
        name="Scores of the classes",
    )


def confusion_section(measured: Measured, picture: Picture) -> Section:
    """The confusion matrix as buttons, or as a picture and a list where it is large."""
    classes, columns, counts_RC = measured.classes, measured.columns(), measured.counts_RC()
    if measured.single:
        text = "Rows are the true classes, columns what the network says."
    else:
        text = "Of each class: what was found, missed, and said where it is not, above one half."
    parts: list[str | Picture] = [f"<p>{text} A number opens its clips.</p>"]
    if len(classes) <= _LARGEST_MATRIX:
        parts.append(_matrix(classes, columns, counts_RC, single=measured.single))
    else:
        parts += ["<figure>", picture, "</figure>"]
        places = [
            (int(counts_RC[row, column]), row, column)
            for row, column in np.argwhere(counts_RC).tolist()
            if row != column or not measured.single
        ]
        rows = [
            [shown(classes[row]), shown(columns[column]), _button(row, column, count)]
            for count, row, column in sorted(places, key=lambda each: -each[0])
        ][:_LISTED_CONFUSIONS]
        parts.append(
            table(("true", "said", "clips"), rows, texts=(0, 1), name="The largest confusions")
        )
    parts.append(
        '<section id="cell" class="panel" aria-labelledby="cell-title" hidden>'
        '<h3 id="cell-title" tabindex="-1"></h3><p id="cell-text" role="status"></p>'
        '<ul id="cell-clips" class="clips"></ul></section>'
    )
    return Section(id="confusion", title="What is taken for what", parts=parts)


def _matrix(
    classes: Sequence[str], columns: Sequence[str], counts_RC: NDArray[np.int64], *, single: bool
) -> str:
    """Columns are numbered like the rows where they are the same."""
    heads = "".join(
        f'<th scope="col">{number if single else shown(column)}</th>'
        for number, column in enumerate(columns, start=1)
    )
    rows = []
    for row, name in enumerate(classes):
        total = max(int(counts_RC[row].sum()), 1)
        cells = []
        for column in range(len(columns)):
            count = int(counts_RC[row, column])
            heat = int(np.ceil(count / total * 5)) if single else 0
            kind = f"heat-{heat}{' diagonal' if single and row == column else ''}"
            inner = _button(row, column, count) if count else ""
            cells.append(f'<td class="{kind}">{inner}</td>')
        number = f"{row + 1} " if single else ""
        rows.append(f'<tr><th scope="row">{number}{shown(name, 60)}</th>{"".join(cells)}</tr>')
    corner = "true \\ said" if single else "class"
    return scrolling(
        f'<table class="matrix"><thead><tr><th scope="col">{corner}</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>",
        "Confusion matrix",
    )


def _button(row: int, column: int, count: int) -> str:
    return f'<button type="button" data-cell="{row}-{column}" aria-pressed="false">{count}</button>'


def figure4_section(
    pairs: ClassPairs,
    classes: Sequence[str],
    names: Sequence[str],
    pictures: Mapping[int, Picture],
    *,
    num_segments: int,
) -> Section:
    """Graphs of object classes, the activities with most clips first."""
    explained, order = int(pairs.num_clips_A.sum()), pairs.most_seen()
    drawn = ""
    if len(order) > len(pictures):
        drawn = f"; graphs are drawn of the {len(pictures)} activities with most"
    parts: list[str | Picture] = [
        "<p>Figure 4 of the paper. For each activity, on clips that show it: how often an object "
        "of one class is related to one of another, and how much such a pair counts for the "
        "activity. Sums over all pairs are divided by the number of pairs. The activation of h is "
        "the paper's measure; the fall is how much the object head's logit of the activity loses "
        "when the pair is taken out of the sum, which is exact. The widest edge is blue, rings "
        "join an object to others of its own class; edges below 12 % of the widest and pairs that "
        "speak against the activity are not drawn. The background object and classes that meet in "
        "less than 5 % of the clips are left out here; <code>report/figure4.csv</code> has all. "
        f"{counted(explained, 'explanation')}, of clips spread over the "
        f"{counted(num_segments, 'segment')} of the "
        f"split{drawn}.</p>"
    ]
    for place, activity in enumerate(order):
        clips = counted(int(pairs.num_clips_A[activity]), "clip")
        if place == _OPEN_GRAPHS:
            parts.append(
                '<details class="print"><summary>The other '
                f"{counted(len(order) - place, 'activity', 'activities')}"
                "</summary>"
            )
        parts.append(f"<h3>{shown(classes[activity])} <span class=dim>({clips})</span></h3>")
        if activity in pictures:
            parts += ["<figure>", pictures[activity], "</figure>"]
        parts.append(_pair_table(pairs.drawn(activity), names))
    parts.append("</details>" if len(order) > _OPEN_GRAPHS else "")
    return Section(id="figure4", title="Which objects are related (figure 4)", parts=parts)


def _pair_table(drawn: Sequence[ClassPair], names: Sequence[str]) -> str:
    best = sorted(drawn, key=lambda pair: -pair.fall)[:_LISTED_PAIRS]
    if not best:
        return "<p>No two classes meet in two of its clips.</p>"
    return (
        "<details><summary>Numbers</summary>"
        + table(
            ("classes", "pairs", "clips", "activation", "fall"),
            [
                [
                    f"{shown(node_name(pair.first, names), 60)} \u2013 "
                    f"{shown(node_name(pair.second, names), 60)}",
                    f"{pair.num_pairs:,}",
                    f"{pair.num_clips:,}",
                    f"{pair.activation:.3f}",
                    f"{pair.fall:.4f}",
                ]
                for pair in best
            ],
            caption="The largest falls, mean over the pairs.",
            name="The largest falls",
        )
        + "</details>"
    )


def cases_section(cases: Sequence[_Figure], *, chosen: bool) -> Section:
    """Figure 5."""
    which = "The clips that were asked for." if chosen else "The surest right ones, class by class."
    return Section(
        id="figure5",
        title="Which pairs decided (figure 5)",
        parts=[
            f"<p>Figure 5 of the paper. {which} Lines join the pairs that count most, as wide as "
            "the logit of the class falls without them; shown are the two frames whose pairs count "
            "most together. All pairs count as the network saw them, on the centred clip.</p>",
            *(_beside(cases) if cases else ["<p>There are none.</p>"]),
        ],
    )


def mistakes_section(
    groups: Sequence[tuple[str, int, Sequence[_Figure]]], *, total: int, explained: bool
) -> Section:
    """Figure 6."""
    text = (
        f"<p>Figure 6 of the paper. {counted(total, 'mistake')}, the largest groups first, in each "
        "the surest. "
        + (
            "Lines join the pairs that misled: without them the logit of what is said falls (or "
            "that of what is missed rises)."
            if explained
            else "This network relates no objects, so no pair can have misled it; the masks are "
            "what the detector saw."
        )
        + " The confusion matrix opens the others.</p>"
    )
    parts: list[str | Picture] = [text]
    for name, number, cases in groups:
        parts.append(f"<h3>{shown(name)} <span class=dim>({number:,})</span></h3>")
        parts += _beside(cases)
    if not groups:
        parts.append("<p>There are none.</p>")
    return Section(id="figure6", title="Mistakes (figure 6)", parts=parts)


def _beside(figures: Sequence[_Figure]) -> _Figure:
    return ['<div class="cases">', *chain.from_iterable(figures), "</div>"]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def _range(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
