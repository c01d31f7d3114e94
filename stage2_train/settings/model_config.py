"""Configuration of a network: a frozen record, validated when it is created; and the windows of
frames that video networks read.

Defaults are the paper's sizes (Baradel et al. 2018, section 4) and its full model, with the
ResNet-18 backbone of its ablations. Every system in the paper's tables combines these settings.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT, Maybe, Positive

TORCHVISION = "torchvision/"
"""Prefix of the names of torchvision's video networks."""
_Frames = Annotated[int, Field(ge=1, le=1024)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FrameWindow:
    """The window of frames from which a video network computes the map of a frame.

    Time is divided into slices, from time 0 on. The frames of a slice have the same map: the middle
    slice (the later of two) of the network's output for the window around it. At the ends of a
    video, windows repeat its first and last frame.
    """

    frames: _Frames
    """N, number of frames."""
    rate: Positive
    """Frames per second, sampled by time from the frames of the video."""
    slice_frames: _Frames
    """Number of frames of the window in a slice."""

    @property
    def middle(self) -> int:
        """Index of the middle slice of the window."""
        return self.frames // self.slice_frames // 2

    def first_second(self, slice_index: int) -> float:
        """Return the time of the first frame of the window around a slice."""
        return (slice_index - self.middle) * self.slice_frames / self.rate

    def slice_at(self, seconds: float) -> int:
        """Return the index of the slice that contains a time."""
        return int(seconds * self.rate / self.slice_frames // 1)


# Number of frames and frame rate are those with which torchvision states the accuracy of its
# weights (`_docs` in the `meta` of the weights, version 0.28), except for the number of frames of
# s3d: 128 there, 16 here.
WINDOWS: Mapping[str, FrameWindow] = {
    f"{TORCHVISION}{name}": window
    for names, window in (
        (("r3d_18", "r2plus1d_18", "s3d"), FrameWindow(frames=16, rate=15.0, slice_frames=8)),
        (("mc3_18",), FrameWindow(frames=16, rate=15.0, slice_frames=1)),
        (("mvit_v1_b", "mvit_v2_s"), FrameWindow(frames=16, rate=7.5, slice_frames=2)),
        (
            ("swin3d_t", "swin3d_s", "swin3d_b"),
            FrameWindow(frames=32, rate=15.0, slice_frames=2),
        ),
    )
    for name in names
}
"""Windows of frames that the supported video networks of torchvision read."""
TIMM = "timm/"
"""Prefix of the names of timm's image networks."""
MOTION = "motion"
"""Name of the backbone that is no network: motion maps alone."""
MOTION_CHANNELS = 32
"""Number of channels of a motion map."""
MOTION_CELLS = (7, 7)
"""(h, w) of motion maps that no image network determines."""
RESNET_STRIDE = 16
"""Number of pixels between cells of the object head's features, from the paper's ResNet."""
_BACKBONE = re.compile(rf"resnet18|resnet50|{MOTION}|{TIMM}[\w.]+|{'|'.join(WINDOWS)}")
Architecture = Literal["object_video", "i3d", "c3d", "trn"]
Kernel = Literal["2d", "2.5d", "3d"]
Heads = Literal["both", "object", "activity"]
TemporalInitialization = Literal["identity", "replicate"]
RelationFrames = Literal["earlier", "same"]
MlpInitialization = Literal["torch", "he"]
ObjectPart = Literal["shape", "appearance", "class", "box"]
RelationPooling = Literal["sum", "learned"]
Reasoning = Literal["rnn", "mlp", "mean_deviation_trend"]
Aggregation = Literal["rnn", "mean", "mean_deviation_trend"]
_Width = Annotated[int, Field(ge=1, le=4096)]
Kernels = Annotated[tuple[Kernel, ...], Field(min_length=5, max_length=5)]
PAPER_KERNELS: tuple[Kernel, ...] = ("2.5d", "2d", "2d", "2d", "2.5d")


def check_backbone(name: str) -> str:
    """Return the name of a network, or raise ValueError."""
    if _BACKBONE.fullmatch(name) is None:
        networks = ", ".join(WINDOWS) if name.startswith(TORCHVISION) else f"{TORCHVISION}NAME"
        raise ValueError(
            f"expected resnet18, resnet50, {MOTION}, {TIMM}NAME or {networks}, got {name!r:.80}"
        )
    return name


Backbone = Annotated[str, AfterValidator(check_backbone)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class NetworkConfig:
    """Sizes and options of a network."""

    num_activities: Annotated[int, Field(ge=1, le=100_000)]
    """Number of activity classes, A."""
    architecture: Architecture = "object_video"
    """The paper's network, or a baseline with a single head and without objects."""
    variant: Literal["paper", "authors"] = "paper"
    """The network and its clips as in the paper, or as in the authors' released code wherever that
    differs and no other setting does (docs/numerics.md)."""
    heads: Heads = "both"
    """Heads of the network: both, or a single head trained alone (Table 2)."""
    backbone: Backbone = "resnet18"
    """The paper's ResNet with temporal kernels, `resnet18` (basic blocks) or `resnet50`
    (bottlenecks); `timm/NAME`, an image network of timm that maps each frame on its own;
    `torchvision/NAME`, a frozen video network of torchvision that maps a frame from a window of
    frames around it; or `motion`, the motion maps of frames without a network. Both heads read maps
    as they are, without conv5 and temporal kernels."""
    backbone_trains: bool = False
    """Whether an image network is trained. If not, its weights and batch statistics are frozen, and
    its maps can be stored in advance (`orn clips --backbone`)."""
    motion: bool = False
    """Whether the heads read, beside the map of a frozen image network, the motion map of each
    frame (`orn clips --motion`); not in the paper."""
    base_width: Annotated[int, Field(ge=1, le=256)] = 64
    """Number of channels of conv1 and conv2; must be 64 for ImageNet weights."""
    kernels: Kernels = PAPER_KERNELS
    """Type of the k x k kernels (k > 1) in conv1 .. conv5 (Table 5): `2d` is 1 x k x k, `2.5d` is
    1 x k x k followed by 3 x 1 x 1, `3d` is 3 x k x k."""
    temporal_initialization: TemporalInitialization = "identity"
    """Initial weights of 3D kernels: the 2D kernel at the center and zeros elsewhere, so that
    frames are not mixed initially, or one third of it at each of the three times, as in I3D."""
    feature_change: bool = False
    """Whether the heads read, beside the map of an image network, its absolute difference from the
    map of the frame before; not in the paper."""
    map_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability of the features that the object head pools from an image network's map.
    """
    activity_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability before the linear classifier of the activity head, with maps."""
    object_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability before the classifier of statistics over time of the object head."""
    aggregation: Aggregation = "rnn"
    """Temporal aggregation of the activity head (Table 5): a GRU (eq. 9), the mean over space and
    time, or, with maps, mean, standard deviation and trend over time: the covariance with time,
    divided by the deviation of time (not in the paper)."""
    num_frames: Maybe[Annotated[int, Field(ge=1, le=10_000)]] = None
    """Clip length T, for an architecture with a fixed length (`trn`); None for any length."""
    conv5_activity_stride: Annotated[int, Field(ge=1, le=2)] = 2
    """Stride of the activity head's conv5, 1 or 2."""
    objects: Literal["detections", "cells"] = "detections"
    """Objects between which relations are computed: detections, or the cells of the object head's
    feature map, as in Santoro et al. 2017 ("pixel" in Table 2)."""
    object_parts: tuple[ObjectPart, ...] = ("shape", "appearance", "class")
    """Parts of the object vector o = [b u c] (eq. 8), in this order, and the position and size of
    its box (not in the paper)."""
    pair_geometry: bool = False
    """Whether h also reads the offset, the ratio of sizes, the overlap and the time difference of
    the boxes of a pair; not in the paper."""
    given_scale: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Factor of class scores, features of boxes and geometry of pairs, which are few beside the
    features of appearance and would count little with weight decay; not in the paper."""
    relation_pooling: RelationPooling = "sum"
    """Pooling of h over the cliques of objects in a clique of frames: their sum (eq. 4), or their
    mean weighted by the softmax of a linear score of h, which is learned (attention pooling; not in
    the paper)."""
    clique_size: Annotated[int, Field(ge=1, le=3)] = 2
    """Number of objects in a clique, i.e. arguments of h (eq. 3): 1, 2 or 3."""
    relation_frames: RelationFrames = "earlier"
    """Frames of a clique's other objects: earlier frames t' < t (eq. 4), or frame t itself (`same`,
    "COCO-intra" in Table 2)."""
    reasoning: Reasoning = "rnn"
    """Function f in eq. (3): a GRU over time (eq. 5), an MLP on each g_t, or mean, standard
    deviation and trend of g_t over time (not in the paper)."""
    num_detector_classes: _Width = 80
    """Number of detector classes S without background; a class vector has length S + 1."""
    background_object: bool = True
    """Whether the loader adds a background object to each frame: the complement of its masks."""
    mask_size: Annotated[int, Field(ge=1, le=256)] = 28
    """Height and width, in cells, of the masks that the mask encoder reads."""
    mask_features: _Width = 100
    """Width of the hidden layer and of the output of the mask encoder (eq. 7)."""
    mlp_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability after each layer of the mask encoder and h."""
    relation_width: _Width = 512
    """Width of each layer of the clique function h (eq. 4)."""
    relation_layers: Annotated[int, Field(ge=1, le=3)] = 3
    """Number of layers of the clique function h; three in the paper."""
    reasoning_state: _Width = 256
    """Width of the object reasoning state r (eq. 5)."""
    activity_state: _Width = 512
    """Width of the activity head's recurrent state s (eq. 9)."""
    normalize_relations: bool = False
    """Whether there is a LayerNorm before each ReLU of h, and one on g_t before the recurrence; not
    in the paper."""
    mlp_initialization: MlpInitialization = "torch"
    """Initialization of the object head's MLPs (mask encoder, h, f as an MLP): `torch`, PyTorch's
    default for linear layers, or `he`, normal with variance 2 / inputs and zero biases (He et al.
    2015)."""

    @model_validator(mode="after")
    def _check(self) -> "NetworkConfig":
        in_order = tuple(part for part in get_args(ObjectPart) if part in self.object_parts)
        if not self.object_parts or self.object_parts != in_order:
            raise ValueError(
                f"object_parts: expected a subset of {', '.join(get_args(ObjectPart))}, in this "
                f"order, got {list(self.object_parts)}"
            )
        for_one = {"relation_frames": "same", "pair_geometry": False}
        others = {name: own for name, own in for_one.items() if getattr(self, name) != own}
        if self.clique_size == 1 and others:
            needed = " and ".join(f"{name} = {json.dumps(own)}" for name, own in others.items())
            raise ValueError(f"clique_size: 1, cliques of one object, requires {needed}; set it")
        if self.pair_geometry and (self.clique_size != 2 or self.objects == "cells"):
            raise ValueError(
                f"pair_geometry: expected pairs of detections, got cliques of {self.clique_size} "
                f"{self.objects}"
            )
        if self.aggregation == "mean_deviation_trend" and not self.has_maps:
            raise ValueError(
                f"aggregation: {self.aggregation} requires an image network, got {self.backbone}"
            )
        if self.motion and not (self.has_maps and not self.backbone_trains):
            raise ValueError(
                f"motion: requires a frozen image network, such as {TIMM}tf_efficientnet_lite0, "
                f"got {self.backbone}{' in training' * self.backbone_trains}"
            )
        if self.backbone_trains and self.backbone in WINDOWS:
            raise ValueError(
                f"backbone_trains: requires an image network, {TIMM}NAME, got {self.backbone}, "
                "which is always frozen"
            )
        if self.architecture != "object_video" and self.heads != "activity":
            raise ValueError(
                f"heads: expected activity for architecture {self.architecture}, got {self.heads}"
            )
        if self.variant == "authors" and (
            self.architecture != "object_video"
            or self.has_maps
            or (self.clique_size, self.objects) != (2, "detections")
        ):
            raise ValueError("variant: authors requires pairs of detections on a ResNet; omit it")
        if self.has_maps and self.kernels != PAPER_KERNELS:
            raise ValueError(
                f"kernels: {self.backbone} has no kernels of this network; omit kernels, or choose "
                "backbone resnet18"
            )
        if self.has_maps and self.architecture == "trn":
            raise ValueError(f"architecture: trn requires a ResNet, got {self.backbone}")
        return self

    @property
    def has_image_network(self) -> bool:
        """Whether the backbone is an image network of timm or a video network of torchvision
        instead of the paper's ResNet."""
        return self.backbone.startswith((TIMM, TORCHVISION))

    @property
    def has_maps(self) -> bool:
        """Whether the heads read maps, of an image network or of motion, instead of features of the
        paper's ResNet."""
        return self.has_image_network or self.backbone == MOTION

    @property
    def reads_image_maps(self) -> bool:
        """Whether the heads read maps of an image network; not with the baselines, which have a
        network of their own, nor with objects without appearance alone."""
        is_used = self.architecture == "object_video" and self.reads_frames
        return self.has_image_network and is_used

    @property
    def reads_motion(self) -> bool:
        """Whether the heads read motion maps."""
        is_used = self.architecture == "object_video" and self.reads_frames
        return is_used and (self.motion or self.backbone == MOTION)

    @property
    def has_frozen_maps(self) -> bool:
        """Whether the heads read maps of whole frames that training does not change, so that they
        can be computed in advance."""
        return self.reads_image_maps and not self.backbone_trains

    @property
    def reads_windows(self) -> bool:
        """Whether maps that are not stored are computed from windows of frames."""
        return self.reads_image_maps and self.backbone in WINDOWS

    @property
    def reads_detections(self) -> bool:
        """Whether the network reads detected objects."""
        return self.heads != "activity" and self.objects == "detections"

    @property
    def object_head_reads_frames(self) -> bool:
        """Whether the object head has a feature map; not needed for shape and class alone."""
        return self.objects == "cells" or "appearance" in self.object_parts

    @property
    def reads_frames(self) -> bool:
        """Whether the network has a ResNet."""
        return self.needs_frames(self.heads)

    def needs_frames(self, heads: Heads) -> bool:
        """Return whether these heads are computed from frames."""
        return heads != "object" or self.object_head_reads_frames
