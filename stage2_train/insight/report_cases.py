"""Clips that a report shows: figures 5 and 6 of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass

from stage2_train.insight.report_page import Picture, Section, decided_lines, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A clip that is shown: figure 5 or 6."""

    id: str
    title: str
    """HTML."""
    picture: Picture
    seen: Sequence[tuple[str, float]]
    """What the detector saw, with its best score."""
    pairs: Sequence[tuple[str, float, float]]
    """Cliques in words, with fall and activation, the most important first."""
    decided_by: str | None


def cases_section(cases: Sequence[Case], *, chosen: bool) -> Section:
    """Figure 5."""
    which = "The clips that were asked for." if chosen else "The surest right ones, class by class."
    return Section(
        id="figure5",
        title="Which pairs decided (figure 5)",
        parts=[
            f"<p>Figure 5 of the paper. {which} Lines join the pairs that count most, as wide as "
            "the logit of the class falls without them; shown are the two frames whose pairs count "
            "most together. All pairs count as the network saw them, on the centred clip.</p>",
            *(_cases(cases, lead="First pair") if cases else ["<p>There are none.</p>"]),
        ],
    )


def mistakes_section(
    groups: Sequence[tuple[str, int, Sequence[Case]]], *, total: int, explained: bool
) -> Section:
    """Figure 6."""
    text = (
        f"<p>Figure 6 of the paper. {total:,} mistakes, the largest groups first, in each the "
        "surest. "
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
        parts += _cases(cases, lead="Misled by")
    if not groups:
        parts.append("<p>There are none.</p>")
    return Section(id="figure6", title="Mistakes (figure 6)", parts=parts)


def _cases(cases: Sequence[Case], *, lead: str) -> list[str | Picture]:
    parts: list[str | Picture] = ['<div class="cases">']
    for case in cases:
        lines = [f"<b>{case.title}</b> {shown(case.id, 60)}"]
        if case.pairs:
            text, fall, activation = case.pairs[0]
            lines.append(f"{lead}: {shown(text)}, fall {fall:.3f}, activation {activation:.2f}.")
        lines += decided_lines(case.decided_by, case.seen[:8])
        parts += [
            "<figure>",
            case.picture,
            f"<figcaption>{'<br>'.join(lines)}</figcaption></figure>",
        ]
    parts.append("</div>")
    return parts
