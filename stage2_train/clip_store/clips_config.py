"""What `make_clips` is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orn.shared.errors import ConfigError
from orn.shared.text import typed_config
from orn.stage2_train.settings.model_config import MOTION, TIMM, TORCHVISION, check_backbone

if TYPE_CHECKING:
    from orn.stage2_train.settings.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsConfig:
    """What `make_clips` does; None selects the default."""

    manifest: str
    """Name or file of the manifest."""
    data_root: Path | None = None
    """Data root, the folder of all data sets; default: that of the manifest, else ORN_DATA, else
    data."""
    out: Path | None = None
    """Output file or folder; default: clips/DATASET."""
    size: tuple[int, int] | None = None
    """Size of stored frames; default: the manifest's, else 256x256; with --backbone, the
    network's."""
    rate: float | None = None
    """Frames per second to store; the nearest frames are selected; default: every frame; with
    --backbone or --motion, those of a clip of each segment."""
    clip_frames: int | None = None
    """Store the center frames of a clip of each segment, this number at most; default: with
    --backbone or --motion, the manifest's."""
    backbone: str | None = None
    """Also store the feature map of each frame, computed by this image network of timm or video
    network of torchvision."""
    weights: Path | None = None
    """Weights of the network: its state dict in timm or torchvision; default: the published
    ones."""
    motion: bool = False
    """Also store the motion around each frame, from optical flow."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ...; auto selects a GPU if there is one."""
    frames: Literal["all", "labeled"] | None = None
    """Store whole videos, or only their labeled segments; default: labeled if segments have
    times."""
    workers: int | None = None
    """Number of processes; default: one per core, or per GPU."""
    fresh: bool = False
    """Discard the existing store and rebuild it."""
    retry_failed: bool = False
    """Retry videos that could not be decoded."""

    @property
    def has_center_frames(self) -> bool:
        """Whether only the center frames of each segment are stored."""
        is_usual = self.backbone is not None or self.motion
        return self.clip_frames is not None or (
            is_usual and self.rate is None and self.frames != "all"
        )

    def typed(self) -> str:
        """Return the command line that does the same."""
        return typed_config("clips", self, "manifest")

    def __post_init__(self) -> None:
        if self.clip_frames is not None and (self.rate is not None or self.frames == "all"):
            raise ConfigError("--clip-frames excludes --rate and --frames all; omit one")
        if self.weights is not None and self.backbone is None:
            raise ConfigError("--weights requires --backbone; pass both")
        if self.backbone == MOTION:
            raise ConfigError("--backbone: expected a network, got motion; pass --motion")
        if self.backbone is not None:
            try:
                check_backbone(self.backbone)
            except ValueError as err:
                raise ConfigError(f"--backbone: {err}") from err
            if not self.backbone.startswith((TIMM, TORCHVISION)):
                raise ConfigError(
                    f"--backbone: expected {TIMM}NAME or {TORCHVISION}NAME, got {self.backbone}, "
                    "whose features change in training; omit it"
                )


def clips_for(recipe: "Recipe", *, weights: Path | None = None, **options: Any) -> ClipsConfig:
    """Return the config for a store of the frames, maps and motion that a recipe's network reads.

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
    return ClipsConfig(**options)
