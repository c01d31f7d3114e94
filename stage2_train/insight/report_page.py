"""The page of a report: HTML from what was found, within a budget of bytes.

Pictures are data URIs, taken in the order of their rank while they fit; the others are named by
their files. Every text of others is escaped, and shortened where nobody would read all of it.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from markupsafe import Markup

from orn.shared.errors import PipelineError
from orn.shared.pages.render import json_data, render
from orn.shared.text_table import printable

_LONGEST_TEXT = 160
_MOST_IN_CELL = 200
_MOST_LISTED_BYTES = 3_000_000
"""Of the clips behind the cells."""


def shown(text: str, longest: int = _LONGEST_TEXT, *, lines: bool = False) -> str:
    """A text of others as HTML; `lines` keeps its line breaks."""
    if lines:
        return escape("\n".join(_cut(line, longest) for line in text[:longest].splitlines()))
    return f"<bdi>{escape(_cut(text, longest))}</bdi>"


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    texts: Sequence[int] = (0,),
    name: str = "",
) -> str:
    """A table that scrolls by itself where it is too wide.

    Args:
        header: HTML of each column.
        rows: HTML of each cell; the first names the row.
        caption: HTML above it.
        texts: columns that hold texts, not numbers.
        name: of what scrolls, for those who do not see it.
    """

    def cell(tag: str, place: int, content: str, scope: str = "") -> str:
        kind = ' class="text"' if place in texts else ""
        return f"<{tag}{kind}{scope}>{content}</{tag}>"

    head = "".join(cell("th", place, each, ' scope="col"') for place, each in enumerate(header))
    body = "".join(
        "<tr>"
        + cell("th", 0, row[0], ' scope="row"')
        + "".join(cell("td", place, each) for place, each in enumerate(row) if place)
        + "</tr>"
        for row in rows
    )
    above = f"<caption>{caption}</caption>" if caption else ""
    return scrolling(
        f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", name
    )


def listed_facts(facts: Iterable[tuple[str, str]]) -> str:
    """Names, which are HTML, and what is to be known of each, which are texts of others."""
    rows = "".join(f"<dt>{name}</dt><dd>{shown(text, 400)}</dd>" for name, text in facts)
    return f"<dl>{rows}</dl>"


def decided_lines(decided_by: str | None, seen: Sequence[tuple[str, float]]) -> list[str]:
    """Which head decided, if anybody asked, and what the detector saw with its scores: HTML."""
    names = ", ".join(f"{shown(name, 40)} {score:.2f}" for name, score in seen)
    decided = [f"Decided by: {decided_by.replace('_', ' ')}."] if decided_by else []
    return [*decided, f"Detector: {names or 'nothing'}."]


def scrolling(content: str, name: str) -> str:
    """Something wide in a part of its own that the keyboard reaches."""
    label = escape(name or "Table", quote=True)
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{content}</div>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of the page."""

    key: str
    data: bytes
    media: str
    """Such as `image/webp`."""
    alt: str
    """What it shows, in words."""
    file: str = ""
    """Where it lies in full, below the run's folder; nothing where it does not."""
    rank: int
    """Low ones are taken first."""
    graph: bool = False

    @property
    def text(self) -> str:
        """The data in base64."""
        return base64.b64encode(self.data).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellClips:
    """The clips behind one cell of the confusion matrix."""

    row: int
    column: int
    title: str
    clips: Sequence[int]
    """Numbers of segments, the surest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page."""

    id: str
    title: str
    parts: Sequence["str | Picture"]
    """HTML, and pictures that stand between."""
    listed: bool = True
    """Whether the list of parts leads to it."""


@dataclass(slots=True, kw_only=True)
class ReportPage:
    """What is on the page."""

    title: str
    lead: str
    """HTML below the title."""
    kind: str = "report"
    """What it is, as its title says."""
    sections: list[Section] = field(default_factory=list)
    cells: list[CellClips] = field(default_factory=list)
    clips: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Id of a segment, and what is said of it, by its number."""
    thumbnails: dict[int, bytes] = field(default_factory=dict)
    """WebP by the number of a segment."""

    def html(self, largest_bytes: int) -> str:
        """The page, no larger than this.

        Raises:
            PipelineError: if even its texts are.
        """
        most = self._most_in_cell()
        bare = self._filled(frozenset(), {}, most)
        left = largest_bytes - len(bare.encode())
        if left < 0:
            raise PipelineError(
                f"{self.kind}: wanted a page of at most {largest_bytes:,} bytes, found texts of "
                f"{len(bare.encode()):,} bytes alone; show fewer clips"
            )
        pictures = [part for each in self.sections for part in each.parts]
        held = set()
        for picture in sorted(
            (part for part in pictures if isinstance(part, Picture)), key=lambda each: each.rank
        ):
            size = len(_image(picture))
            if size <= left:
                held.add(picture.key)
                left -= size
        thumbnails = {}
        for row in self._listed(most):
            text = base64.b64encode(self.thumbnails.get(row, b"")).decode()
            if text and len(text) + 2 <= left:
                thumbnails[row] = text
                left -= len(text) + 2
        return self._filled(frozenset(held), thumbnails, most)

    def _listed(self, most: int) -> dict[int, None]:
        """Segments behind the cells, with so many of each cell."""
        return dict.fromkeys(row for each in self.cells for row in each.clips[:most])

    def _most_in_cell(self) -> int:
        """How many clips of a cell may be listed."""
        most = _MOST_IN_CELL
        while most > 1:
            texts = (map(_cut, self.clips[row]) for row in self._listed(most))
            if sum(len(json_data([*each])) for each in texts) <= _MOST_LISTED_BYTES:
                break
            most //= 2
        return most

    def _filled(self, held: frozenset[str], thumbnails: dict[int, str], most: int) -> str:
        data: dict[str, Any] = {
            "clips": {
                row: [*map(_cut, self.clips[row]), thumbnails.get(row, 0)]
                for row in sorted(self._listed(most))
            },
            "cells": {
                f"{each.row}-{each.column}": [
                    _cut(each.title),
                    len(each.clips),
                    list(each.clips[:most]),
                ]
                for each in self.cells
            },
        }
        sections = "".join(_section(each, held) for each in self.sections)
        links = "".join(
            f'<li><a href="#{each.id}">{escape(_cut(each.title, 60))}</a></li>'
            for each in self.sections
            if each.listed
        )
        body = (
            f"<header><h1>{shown(self.title)}</h1>{self.lead}"
            f'<nav aria-label="Parts of the page"><ul>{links}</ul></nav>'
            f"</header><main>{sections}</main>"
        )
        return render(
            "orn.stage2_train.insight/report.html",
            title=f"{_cut(self.title)} \u2013 {self.kind}",
            body=Markup(body),
            clips=data,
        )


def _section(section: Section, held: frozenset[str]) -> str:
    parts = [
        part
        if isinstance(part, str)
        else _image(part)
        if part.key in held
        else f'<p class="dim">The picture is in <code>{escape(part.file)}</code>.</p>'
        if part.file
        else '<p class="dim">The page has no room for the picture.</p>'
        for part in section.parts
    ]
    title = escape(_cut(section.title))
    return f'<section id="{section.id}"><h2>{title}</h2>{"".join(parts)}</section>'


def _image(picture: Picture) -> str:
    alt = escape(_cut(picture.alt, 600), quote=True)
    source = f"data:{picture.media};base64,{picture.text}"
    if not picture.graph:
        return f'<img alt="{alt}" src="{source}">'
    return scrolling(f'<img class="graph" alt="{alt}" src="{source}">', "Figure")


def _cut(text: str, longest: int = _LONGEST_TEXT) -> str:
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"
