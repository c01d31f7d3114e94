"""Options of `orn clips`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from orn.shared.common_options import DataRoot, Device, FilePath, Workers, out_option
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.settings.model_config import MOTION, TIMM, TORCHVISION, Backbone
from orn.stage2_train.settings.resources import NEWEST

if TYPE_CHECKING:
    from orn.stage2_train.settings.recipe import Recipe


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", value)
    if match is None:
        raise ValueError(f"expected HEIGHTxWIDTH, such as 256x256, got {value!r}")
    return int(match[1]), int(match[2])


_Side = Annotated[int, Field(ge=1, le=4096)]
"""Side of a stored frame in pixels."""


class ClipsRequest(Request):
    """Options of `orn clips`."""

    manifest: Annotated[str, Argument("DATASET")] = NEWEST
    data_root: DataRoot = None
    out: Annotated[FilePath | None, out_option("clips/DATASET")] = None
    size: Annotated[
        Annotated[tuple[_Side, _Side], BeforeValidator(_size)] | None,
        Option(
            "Size of stored frames.",
            metavar="HEIGHTxWIDTH",
            usual="the manifest's, else 256x256; with --backbone, the network's",
        ),
    ] = None
    rate: Annotated[
        Annotated[float, Field(gt=0, le=1000)] | None,
        Option(
            "Frames per second to store; the nearest frames are selected.",
            usual="every frame; with --backbone or --motion, those of a clip of each segment",
        ),
    ] = None
    clip_frames: Annotated[
        Annotated[int, Field(ge=1, le=10_000)] | None,
        Option(
            "Store the center frames of a clip of each segment, this number at most.",
            usual="with --backbone or --motion, the manifest's",
        ),
    ] = None
    backbone: Annotated[
        Backbone | None,
        Option(
            "Also store the feature map of each frame, computed by this image network of timm or "
            "video network of torchvision.",
            metavar="timm/NAME|torchvision/NAME",
        ),
    ] = None
    weights: Annotated[
        FilePath | None,
        Option(
            "Weights of the network: its state dict in timm or torchvision.",
            usual="the published ones",
        ),
    ] = None
    motion: Annotated[
        bool, Option("Also store the motion around each frame, from optical flow.")
    ] = False
    device: Device = "auto"
    frames: Annotated[
        Literal["all", "labeled"] | None,
        Option(
            "Store whole videos, or only their labeled segments.",
            usual="labeled if segments have times",
        ),
    ] = None
    workers: Annotated[
        Workers | None, Option("Number of processes.", usual="one per core, or per GPU")
    ] = None
    fresh: Annotated[bool, Option("Discard the existing store and rebuild it.")] = False
    retry_failed: Annotated[bool, Option("Retry videos that could not be decoded.")] = False

    @property
    def has_center_frames(self) -> bool:
        """Whether only the center frames of each segment are stored."""
        is_usual = self.backbone is not None or self.motion
        return self.clip_frames is not None or (
            is_usual and self.rate is None and self.frames != "all"
        )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.clip_frames is not None and (self.rate is not None or self.frames == "all"):
            raise ValueError("--clip-frames excludes --rate and --frames all; omit one")
        if self.weights is not None and self.backbone is None:
            raise ValueError("--weights requires --backbone; pass both")
        if self.backbone == MOTION:
            raise ValueError("--backbone: expected a network, got motion; pass --motion")
        if self.backbone is not None and not self.backbone.startswith((TIMM, TORCHVISION)):
            raise ValueError(
                f"--backbone: expected {TIMM}NAME or {TORCHVISION}NAME, got {self.backbone}, whose "
                "features change in training; omit it"
            )
        return self


def clips_for(recipe: "Recipe", *, weights: Path | None = None, **options: Any) -> ClipsRequest:
    """Return a request for a store of the frames, maps and motion that a recipe's network reads.

    Args:
        recipe: recipe of the network.
        weights: file with the weights of its frozen network; None for the published ones.
        options: other options.
    """
    model = recipe.model
    if model.has_frozen_maps:
        options |= {
            "backbone": model.backbone,
            "size": recipe.data.crop,
            "weights": weights,
        }
    if model.has_frozen_maps or model.reads_motion:
        options |= {"motion": model.reads_motion, "clip_frames": recipe.data.clip_frames}
    return ClipsRequest(**options)
