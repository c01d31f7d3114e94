"""What a network is made of: one frozen record, checked when it is made.

Defaults are the paper's sizes (Baradel et al. 2018, section 4) and its full model, with its
ablation backbone ResNet-18. Every system of the paper's tables is a choice of these settings.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT, Maybe

Architecture = Literal["object_video", "i3d", "c3d", "trn"]
Backbone = Literal["resnet18", "resnet50"]
Kernel = Literal["2d", "2.5d", "3d"]
Heads = Literal["both", "object", "activity"]
Start = Literal["identity", "replicate"]
HeadCombination = Literal["mean", "sum", "joint"]
RelationFrames = Literal["earlier", "same", "same_after_first"]
MlpStart = Literal["torch", "he"]
RelationPairs = Literal["all", "same_object", "different_objects"]
EmptySlots = Literal["never", "as_authors"]
Conv5Start = Literal["image", "random"]
ObjectPart = Literal["shape", "appearance", "class"]
_Width = Annotated[int, Field(ge=1, le=2**16)]
Kernels = Annotated[tuple[Kernel, ...], Field(min_length=5, max_length=5)]

_FEATURES_PER_BASE_WIDTH: dict[str, int] = {"resnet18": 8, "resnet50": 32}
_CELL_COORDINATES = 2


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class NetworkConfig:
    """Sizes and choices of one network."""

    num_activities: Annotated[int, Field(ge=1, le=10**6)]
    """A, the number of activity classes."""
    architecture: Architecture = "object_video"
    """The paper's network, or a baseline that has one head and reads no objects."""
    heads: Heads = "both"
    """What the network has: both heads, or one of them trained alone (Table 2)."""
    backbone: Backbone = "resnet18"
    """ResNet-18 (basic blocks) or ResNet-50 (bottlenecks)."""
    base_width: Annotated[int, Field(ge=1, le=4096)] = 64
    """Channels of conv1 and conv2; 64 fits ImageNet weights, less makes a small network."""
    kernels: Kernels = ("2.5d", "2d", "2d", "2d", "2.5d")
    """Kind of the k x k kernels (k > 1) in conv1 .. conv5 (Table 5): `2d` is 1 x k x k, `2.5d` is
    1 x k x k, then 3 x 1 x 1, `3d` is 3 x k x k."""
    object_conv5_kernel: Maybe[Kernel] = None
    """Kind of the kernels of the object head's conv5; none for that of `kernels`."""
    object_conv5_start: Conv5Start = "image"
    """Initial weights of the object head's conv5: from the image network, as for the rest of the
    ResNet, or random, as in the authors' released code."""
    temporal_place: Literal["before_norm", "after_relu"] = "before_norm"
    """Where the 3 x 1 x 1 kernel of a 2.5D unit comes: right after the spatial one, or after the
    normalisation and the ReLU that follow it, with a ReLU of its own; of the second kernel of a
    basic block, after the ReLU that ends the block."""
    temporal_start: Start = "identity"
    """First weights of 3D kernels: the 2D kernel at the centre and zeros beside it, so that frames
    do not mix yet, or a third of it at each of the three times, as in I3D."""
    aggregation: Literal["rnn", "mean"] = "rnn"
    """How the activity head sums up a clip (Table 5): a GRU (eq. 9), or the mean over space and
    time."""
    num_frames: Maybe[Annotated[int, Field(ge=1, le=10_000)]] = None
    """T, for an architecture that is made for clips of one length (`trn`); none for any length."""
    conv5_object_stride: Annotated[int, Field(ge=1, le=2)] = 1
    """Stride of the object head's conv5, 1 or 2."""
    conv5_activity_stride: Annotated[int, Field(ge=1, le=2)] = 2
    """Stride of the activity head's conv5, 1 or 2."""
    objects: Literal["detections", "cells"] = "detections"
    """What is related: detected objects, or the cells of the object head's feature map, as Santoro
    et al. do ("pixel" in Table 2)."""
    object_parts: tuple[ObjectPart, ...] = ("shape", "appearance", "class")
    """Which parts of o = [b u c] (eq. 8) an object vector has, in this order."""
    clique_size: Annotated[int, Field(ge=1, le=3)] = 2
    """How many objects h takes at once (eq. 3): 1, 2 or 3."""
    relation_frames: RelationFrames = "earlier"
    """Where a clique's other objects come from: earlier frames t' < t (eq. 4), or frame t too
    (`same`, "COCO-intra" in Table 2; the authors' released code is this one, and leaves out the
    first frame: `same_after_first`)."""
    relation_pairs: RelationPairs = "all"
    """Which pairs of two frames are related: all (eq. 4), an object with itself in the other frame,
    or with other objects there. All but `all` need shards with tracks."""
    empty_slots: EmptySlots = "never"
    """Whether the second object of a pair may be an empty slot: never, or as in the authors'
    released code, which pads every frame to the largest number of objects in a frame of the clip
    (there, of the batch)."""
    earlier_frame_draw: Literal["each_clip", "each_batch"] = "each_clip"
    """For what training draws the earlier frames of each t: every clip, or all clips of a batch."""
    reasoning: Literal["rnn", "mlp"] = "rnn"
    """f of eq. (3): a GRU over time (eq. 5), or an MLP on each g_t."""
    first_phase_reasoning: Literal["kept", "mean"] = "kept"
    """What tells activities from g_t while the object head of two is trained alone: `reasoning`, or
    the mean over time and a linear layer of its own, so that `reasoning` starts fresh after it."""
    gru_states: Literal["sum", "mean"] = "sum"
    """What is classified of the states of either GRU: their sum over time (section 3.4), or
    mean."""
    head_combination: HeadCombination = "mean"
    """What the prediction is of the logits of both heads: their mean, their sum, or their mean and
    what an MLP of both states adds (`joint`, not in the paper)."""
    num_detector_classes: _Width = 80
    """S, classes of the detector without background; a class vector has S + 1 numbers."""
    background_object: bool = True
    """Whether the loader adds to each frame one object that is the complement of its masks."""
    mask_pooling: Literal["cells", "interpolated"] = "cells"
    """What u of eq. (6) is a mean of: the cells of U by how much of each the mask covers, or U
    interpolated to the cells of the mask."""
    mask_size: Annotated[int, Field(ge=1, le=1024)] = 28
    """Height and width in cells of the masks that the mask encoder reads."""
    mask_features: _Width = 100
    """Width of the hidden layer and of the output of the mask encoder (eq. 7)."""
    class_part: Literal["distribution", "one_hot_mlp"] = "distribution"
    """What c of eq. (8) is: the detector's distribution, or an MLP, like that of the mask, of ones
    at the class of the highest score and zeros elsewhere."""
    class_features: _Width = 100
    """Width of both layers of that MLP."""
    mlp_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of what each layer of mask encoder, class MLP and h gives that training sets to
    zero."""
    relation_width: _Width = 512
    """Width of each of the three layers of the clique function h (eq. 4)."""
    reasoning_state: _Width = 256
    """Width of the object reasoning state r (eq. 5)."""
    activity_state: _Width = 512
    """Width of the activity head's recurrent state s (eq. 9)."""
    normalise_relations: bool = False
    """Whether g_t goes through a LayerNorm before the recurrence; not in the paper."""
    normalise_hidden: bool = False
    """Whether each layer of h has a LayerNorm before its ReLU; not in the paper."""
    mlp_start: MlpStart = "torch"
    """First weights of the object head's MLPs (mask encoder, h, f as an MLP): as torch starts a
    linear layer, or `he`, normal with variance 2 / inputs (He et al. 2015) and zero biases."""

    @model_validator(mode="after")
    def _check(self) -> "NetworkConfig":
        in_order = tuple(part for part in get_args(ObjectPart) if part in self.object_parts)
        if not self.object_parts or self.object_parts != in_order:
            raise ValueError(
                f"object_parts: wanted some of {', '.join(get_args(ObjectPart))}, in this order, "
                f"found {list(self.object_parts)}"
            )
        if self.clique_size == 1 and self.relation_frames == "earlier":
            raise ValueError(
                f"relation_frames: wanted same, for cliques of one, found {self.relation_frames}"
            )
        if self.relation_pairs != "all" and (self.clique_size, self.objects) != (2, "detections"):
            raise ValueError(
                f"relation_pairs: expected all, for {self.objects} in cliques of "
                f"{self.clique_size}, got {self.relation_pairs}"
            )
        if self.architecture != "object_video" and self.heads != "activity":
            raise ValueError(
                f"heads: wanted activity, for architecture {self.architecture}, found {self.heads}"
            )
        return self

    @property
    def feature_width(self) -> int:
        """D, channels of the feature maps U and V; 512 and 2048 for the backbones at width 64."""
        return self.base_width * _FEATURES_PER_BASE_WIDTH[self.backbone]

    @property
    def activity_width(self) -> int:
        """Numbers of what the activity head's classifier reads."""
        return self.activity_state if self.aggregation == "rnn" else self.feature_width

    @property
    def has_joint(self) -> bool:
        """Whether an MLP reads the states of both heads."""
        return self.heads == "both" and self.head_combination == "joint"

    @property
    def class_width(self) -> int:
        """S + 1, the length of a class vector c."""
        return self.num_detector_classes + 1

    @property
    def object_width(self) -> int:
        """Length of an object vector o = [b u c] (eq. 8): 2229 in the paper."""
        if self.objects == "cells":
            return self.feature_width + _CELL_COORDINATES
        widths = {
            "shape": self.mask_features,
            "appearance": self.feature_width,
            "class": self.class_width if self.class_part == "distribution" else self.class_features,
        }
        return sum(widths[part] for part in self.object_parts)

    @property
    def reads_detections(self) -> bool:
        """Whether objects of a detector are read."""
        return self.heads != "activity" and self.objects == "detections"

    @property
    def pools_objects(self) -> bool:
        """Whether the object head pools appearance under masks; else no object class is told from
        it (eq. 13)."""
        return self.objects == "detections" and "appearance" in self.object_parts

    @property
    def object_head_sees_frames(self) -> bool:
        """Whether the object head has a feature map; objects of shape and class only need none."""
        return self.objects == "cells" or "appearance" in self.object_parts

    @property
    def sees_frames(self) -> bool:
        """Whether the network has a ResNet at all."""
        return self.takes_frames(self.heads)

    def takes_frames(self, heads: Heads) -> bool:
        """Whether these heads of the network are computed from frames."""
        return heads != "object" or self.object_head_sees_frames
