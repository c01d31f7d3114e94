"""`orn predict --html`: a page of what is predicted for videos, that works offline.

Built of the parts of the page of a run (`orn.stage2_train.insight`): texts of others are escaped
there, and pictures taken while the page has room for them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orn.shared.jobs.atomic_file import write_text
from orn.shared.manifests.records import Video
from orn.shared.shards.reader import VideoDetections
from orn.shared.shards.schema import FailedVideo
from orn.shared.text_table import counted
from orn.stage2_train.insight.report_page import (
    Picture,
    ReportPage,
    Section,
    listed_facts,
    shown,
    table,
)
from orn.stage2_train.predict.look import DASH, LISTED_CLASSES, look, spread
from orn.stage2_train.predict.records import SegmentPrediction, WindowPrediction
from orn.stage2_train.predict.timeline import timeline
from orn.stage2_train.predict.windows import moments_of
from orn.stage2_train.runs.trained import OpenedModel

LARGEST_PAGE_BYTES = 10_000_000
_MOST_TEXT_BYTES = 5_000_000
"""Of the sections of videos; more videos are counted and not shown."""
_SHOWN_WINDOWS = 48
"""Looks that have pictures, over all videos; a video has one at least."""
_OF_ONE_VIDEO = 16
_LISTED_STRETCHES = 200


@dataclass(slots=True, kw_only=True, eq=False)
class PredictionPage:
    """Takes one video after another and becomes a page."""

    model: OpenedModel
    num_videos: int
    """How many will come."""
    _sections: list[Section] = field(default_factory=list)
    _rows: list[tuple[str, str, str]] = field(default_factory=list)
    _text_bytes: int = 0
    _left_out: int = 0

    def add(
        self,
        name: str,
        video: Video,
        detections: VideoDetections,
        windows: Sequence[WindowPrediction],
        segments: Sequence[SegmentPrediction],
    ) -> None:
        """Takes a video and what is said of it.

        Args:
            name: what the user called it.
            video: what was looked at.
            detections: of its frames.
            windows: by their starts, with pairs where the network relates objects.
            segments: what they come to.

        Raises:
            VideoDecodeError: if the video can no longer be decoded.
            ShardFormatError: if detections are damaged.
        """
        if self._text_bytes > _MOST_TEXT_BYTES:
            self._left_out += 1
            return
        number = len(self._rows)
        chosen = self._chosen(windows, segments)

        def address(segment: SegmentPrediction) -> str:
            return f"#v{number}-w{_nearest(windows, chosen, segment)}"

        parts: list[str | Picture] = [
            timeline(
                list(moments_of(windows, multi_label=self.model.is_multi_label)),
                segments,
                self.model.classes,
                address=address,
            ),
            self._table(segments, address),
            "<h3>What was looked at</h3>",
        ]
        for rank, place in enumerate(chosen):
            id, window = f"v{number}-w{place}", windows[place]
            parts += look(id, self.model, video, detections, window, rank=rank)
        self._text_bytes += sum(len(each.encode()) for each in parts if isinstance(each, str))
        self._sections.append(Section(id=f"v{number}", title=name, parts=parts, listed=False))
        says = ", ".join(each.says(self._name, LISTED_CLASSES) for each in segments[:3])
        more = (
            f" and {counted(len(segments) - 3, 'more stretch', 'more stretches')}"
            if len(segments) > 3
            else ""
        )
        length = segments[-1].stop_seconds - segments[0].start_seconds
        row = (f'<a href="#v{number}">{shown(name)}</a>', f"{length:.2f} s", f"{says}{more}")
        self._rows.append(row)

    def add_failed(self, failed: FailedVideo) -> None:
        """Takes a video that nothing, or not all, can be said of."""
        if self._text_bytes > _MOST_TEXT_BYTES:
            self._left_out += 1
            return
        self._rows.append((shown(failed.id), "", f"failed: {shown(failed.reason)}"))
        self._text_bytes += sum(map(len, self._rows[-1]))

    def write(self, path: Path) -> None:
        """Writes the page, whole or not at all.

        Raises:
            PipelineError: if the disk refuses.
        """
        record = self.model.config.dataset
        limits = (
            "each of which may hold or not"
            if self.model.is_multi_label
            else "and names one of these, also where a video shows none of them"
        )
        lead = (
            f'<p class="dim">What a network says that learned from {shown(record.name)} to tell '
            f"{counted(len(record.classes), 'activity', 'activities')}, {limits}.</p>"
        )
        if self._left_out:
            left = counted(self._left_out, "more video has", "more videos have")
            lead += f'<p class="notes">{left} no room on this page; --json and --csv have all.</p>'
        videos = table(("video", "length", "says"), self._rows, texts=(0, 2), name="Videos")
        page = ReportPage(
            title=self.model.path.resolve().name,
            lead=lead + videos,
            kind="predictions",
            sections=[*self._sections, self._made()],
        )
        write_text(path, page.html(LARGEST_PAGE_BYTES))

    def _chosen(
        self, windows: Sequence[WindowPrediction], segments: Sequence[SegmentPrediction]
    ) -> list[int]:
        """Numbers of the windows that are shown: those in the middle of stretches, spread where
        these are many, and others between where they are few."""
        most = min(max(_SHOWN_WINDOWS // self.num_videos, 1), _OF_ONE_VIDEO)
        everywhere = range(len(windows))
        middles = list(dict.fromkeys(_nearest(windows, everywhere, each) for each in segments))
        chosen = {middles[place] for place in spread(len(middles), most)}
        for place in spread(len(windows), most):
            if len(chosen) < most:
                chosen.add(place)
        return sorted(chosen)

    def _name(self, label: int) -> str:
        return shown(self.model.classes[label], 80)

    def _table(
        self, segments: Sequence[SegmentPrediction], address: Callable[[SegmentPrediction], str]
    ) -> str:
        rows = []
        for each in segments[:_LISTED_STRETCHES]:
            link = f'<a href="{address(each)}">{each.times(DASH)}</a>'
            says, then = each.says(self._name, LISTED_CLASSES), each.runners_up(self._name)
            rows.append((link, says, then, str(each.windows)))
        left = len(segments) - len(rows)
        caption = f"The first {len(rows)}; {left:,} more are in --json and --csv" if left else ""
        header = ("time", "says", "then", "looks")
        return table(header, rows, texts=(0, 1, 2), name="Stretches", caption=caption)

    def _made(self) -> Section:
        """What says it."""
        config = self.model.config
        facts = [
            ("network", str(self.model.path)),
            ("recipe", f"{config.recipe_name}, seed {config.recipe.seed}, step {self.model.step}"),
            (
                "trained on",
                f"{config.dataset.name}, {counted(config.dataset.num_train, 'segment')}",
            ),
            (
                "objects",
                f"{config.detector.title}, score from {config.recipe.data.score_threshold}",
            ),
            ("frames", f"{config.recipe.data.clip_frames} of each look"),
        ]
        return Section(id="made", title="What says it", parts=[listed_facts(facts)])


def _nearest(
    windows: Sequence[WindowPrediction], numbers: Sequence[int], segment: SegmentPrediction
) -> int:
    """The number of the window in whose middle the middle of a stretch lies most."""
    return min(numbers, key=lambda number: abs(windows[number].middle - segment.middle))
