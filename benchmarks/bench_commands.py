"""`orn bench`: benchmarks against reference code."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from orn.benchmarks.detect_request import DetectRequest, Repeats, Tiny
from orn.benchmarks.measuring import publish
from orn.shared.common_options import AsJson, Count, Device, FilePath, Threads, threads_option
from orn.shared.echo import echo_result
from orn.shared.errors import SOME_FAILED
from orn.shared.options import Option, Request, command
from orn.shared.text_summary import summary_of

if TYPE_CHECKING:
    from orn.benchmarks.model_inputs import ClipSizes

Out = Annotated[FilePath | None, Option("File for the record.")]


class BatchOptions(Request):
    """Size of a batch of clips and number of measurements."""

    clips: Annotated[Count, Option("Clips in a batch.")] = 2
    frames: Annotated[Count, Option("Frames in a clip.")] = 4
    slots: Annotated[Count, Option("Objects in a frame.")] = 10
    backbone: Annotated[Literal["resnet18", "resnet50"], Option("ResNet to use.")] = "resnet50"
    threads: Annotated[Threads, threads_option("each side")] = 1
    repeats: Repeats = 3
    tiny: Tiny = False

    def sizes(self) -> "ClipSizes":
        """Return the requested sizes."""
        from orn.benchmarks.model_inputs import TINY, ClipSizes
        from orn.stage2_train.settings.model_config import NetworkConfig

        if self.tiny:
            return TINY
        config = NetworkConfig(num_activities=125, backbone=self.backbone)
        return ClipSizes(clips=self.clips, frames=self.frames, slots=self.slots, config=config)


@command("bench object-head")
def object_head(batch: BatchOptions, *, as_json: AsJson = False, out: Out = None) -> None:
    """Compare the object head, forward and backward, with plain loops.

    ratio compares times, and memory_ratio compares the peak memory allocated by torch beyond inputs
    and weights. Results and gradients of both sides must agree.
    """
    from orn.benchmarks.object_head import measure

    options = {"threads": batch.threads, "repeats": batch.repeats}
    publish(partial(measure, batch.sizes(), **options), out, as_json=as_json)


@command("bench train-step")
def train_step(
    batch: BatchOptions, *, device: Device = "auto", as_json: AsJson = False, out: Out = None
) -> None:
    """Compare a training step with the same network written as plain loops.

    A step on frames of 224 x 224 pixels consists of the forward pass, losses, backward pass,
    gradient norm and Adam. The reference uses fp32, NCHW memory, 3D convolutions and plain loops;
    ours runs in fp32 (ratio) and, if the device computes it fast, bf16 (bf16_ratio).
    """
    from orn.benchmarks.train_step import measure

    options = {"threads": batch.threads, "repeats": batch.repeats}
    publish(partial(measure, batch.sizes(), device=device, **options), out, as_json=as_json)


@command("bench loader")
def loader(
    *,
    data_root: Annotated[
        FilePath | None,
        Option(
            "Data root with VLOG's clips and the authors' masks.",
            name="--data",
            usual="generated clips",
        ),
    ] = None,
    repeats: Repeats = 3,
    tiny: Tiny = False,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Compare the time to load a clip of four frames of 224 pixels with masks, on one core.

    The reference decodes the video, unpickles all its masks, and uses pycocotools and PIL, like the
    authors' released loader. This project's loader reads randomly sampled frames from a clip store
    and a shard. The shard stays open and its decoded chunks stay in memory, as in a training run
    whose shards fit into 256 MiB per process; masks are decoded for each clip. `cold_seconds` is
    the time with an empty cache, as for a much larger data set. `jpeg_only_seconds` is the time to
    decode the pictures only. Bytes per frame are also reported, for both formats.
    """
    from orn.benchmarks.loader import measure

    publish(partial(measure, data_root, repeats=repeats, tiny=tiny), out, as_json=as_json)


@command("bench detect")
def detect(request: DetectRequest, *, as_json: AsJson = False, out: Out = None) -> None:
    """Compare detection with a loop of inference_detector, pycocotools and pickle.

    Both sides run alternately with the same weights: Mask R-CNN with ResNet-50 at up to 800 x 1333.
    Times are per frame with one thread, excluding start-up and loading of weights; the ratio is the
    loop's CPU time (on a GPU, wall time) divided by ours. In float32, `orn detect` must also find
    at least 90 % of the loop's detections. Also reports the time of each stage of detection, and
    the peak memory of a long and a short video with a stub detector.
    """
    from orn.benchmarks.detect import measure

    publish(partial(measure, request), out, as_json=as_json)


@command("bench gpu")
def gpu(
    *,
    out: Annotated[
        FilePath, Option("Folder of the records, one per measurement; existing ones are kept.")
    ],
    minutes: Annotated[
        float, Field(ge=0, le=10**4), Option("Time limit of all measurements.")
    ] = 8.0,
    only: Annotated[
        tuple[str, ...],
        Option(
            "Run measurements with this prefix, such as train; may be repeated.", metavar="PREFIX"
        ),
    ] = (),
    device: Device = "auto",
    tiny: Tiny = False,
    as_json: AsJson = False,
) -> int:
    """Run all benchmarks of detection and training on a GPU.

    The measurements cover detection in every precision and with batches of 1 to 16; training steps
    of both ResNets; the loader; an exact resume. They run in order of importance, and each
    writes its own file: rerun the command to resume with the missing ones. The exit code is 3 if a
    measurement failed or ran out of time.
    """
    from orn.benchmarks.gpu import measure_all

    records = measure_all(out, minutes=minutes, only=only, device=device, tiny=tiny)
    echo_result(records, lambda rows: summary_of({"measurement": rows}), as_json=as_json)
    return 0 if all(record["state"] == "done" for record in records) else SOME_FAILED
