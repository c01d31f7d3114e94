"""What `make_clips` is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orn.shared.errors import ConfigError
from orn.shared.text import command_line
from orn.stage2_train.settings.model_config import MOTION, TIMM, TORCHVISION, check_backbone

if TYPE_CHECKING:
    from orn.stage2_train.settings.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsConfig:
    """What `make_clips` does; None selects the default."""

    manifest: str
    """Name or file of the manifest."""
    data_root: Path | None = None
    """Folder of all data sets."""
    out: Path | None = None
    """Folder of the store; default: clips/DATASET."""
    size: tuple[int, int] | None = None
    """(height, width) in pixels; default: the network's, else the manifest's."""
    rate: float | None = None
    """Frames per second to store; default: every frame, or center frames."""
    clip_frames: int | None = None
    """Largest number of center frames of each segment; default: the manifest's."""
    backbone: str | None = None
    """Network of timm or torchvision whose feature maps are stored."""
    weights: Path | None = None
    """File with the network's state dict; default: the published one."""
    motion: bool = False
    """Whether to store the motion around each frame."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`, ... or `auto`."""
    workers: int | None = None
    """Number of processes; default: one per core or GPU."""
    fresh: bool = False
    """Whether to discard the existing store."""
    retry_failed: bool = False
    """Whether to process videos again that failed."""

    @property
    def has_center_frames(self) -> bool:
        """Whether only the center frames of each segment are stored."""
        is_usual = self.backbone is not None or self.motion
        return self.clip_frames is not None or (is_usual and self.rate is None)

    def command(self) -> str:
        """Return the command that stores the same frames, maps and motion."""
        size = self.size and "x".join(map(str, self.size))
        maps = {"backbone": self.backbone, "size": size, "weights": self.weights}
        number = {"clip-frames": self.clip_frames}
        folders = {"data": self.data_root, "out": self.out}
        motion = ["--motion"] if self.motion else []
        return command_line("orn", "clips", self.manifest, *motion, **maps, **number, **folders)

    def __post_init__(self) -> None:
        if self.clip_frames is not None and self.rate is not None:
            raise ConfigError("--clip-frames excludes --rate; omit one")
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
