"""`orn bench`: benchmarks against reference code."""

from orn.benchmarks.bench_requests import (
    ClipsRequest,
    DetectBenchRequest,
    GpuRequest,
    Kept,
    LoaderRequest,
    TrainStepRequest,
)
from orn.benchmarks.measuring import publish
from orn.shared.common_options import AsJson
from orn.shared.echo import echo_report
from orn.shared.options import command

_PARTLY_FAILED = 3


@command("object-head")
def object_head(request: ClipsRequest, kept: Kept) -> None:
    """Compare the object head, forward and backward, with plain loops.

    ratio compares times, and memory_ratio compares the peak memory allocated by torch beyond inputs
    and weights. Results and gradients of both sides must agree.
    """
    from orn.benchmarks.object_head import measure

    publish(measure, request, kept)


@command("train-step")
def train_step(request: TrainStepRequest, kept: Kept) -> None:
    """Compare a training step with the same network written as plain loops.

    A step on frames of 224 x 224 pixels consists of the forward pass, losses, backward pass,
    gradient norm and Adam. The reference uses fp32, NCHW memory, 3D convolutions and plain loops;
    ours runs in fp32 (ratio) and, if the device computes it fast, bf16 (bf16_ratio).
    """
    from orn.benchmarks.train_step import measure

    publish(measure, request, kept)


@command("loader")
def loader(request: LoaderRequest, kept: Kept) -> None:
    """Compare the time to load a clip of four frames of 224 pixels with masks, on one core.

    The reference decodes the video, unpickles all its masks, and uses pycocotools and PIL, like the
    authors' released loader. This project's loader reads randomly sampled frames from a clip store
    and a shard. The shard stays open and its decoded chunks stay in memory, as in a training run
    whose shards fit into 256 MiB per process; masks are decoded for each clip. `cold_seconds` is
    the time with an empty cache, as for a much larger data set. `jpeg_only_seconds` is the time to
    decode the pictures only. Bytes per frame are also reported, for both formats.
    """
    from orn.benchmarks.loader import measure

    publish(measure, request, kept)


@command("detect")
def detect(request: DetectBenchRequest, kept: Kept) -> None:
    """Compare detection with a loop of inference_detector, pycocotools and pickle.

    Both sides run alternately with the same weights: Mask R-CNN with ResNet-50 at up to 800 x 1333.
    Times are per frame with one thread, excluding start-up and loading of weights; the ratio is the
    loop's CPU time (on a GPU, wall time) divided by ours. In float32, `orn detect` must also find
    at least 90 % of the loop's detections. Also reports the time of each stage of detection, and
    the peak memory of a long and a short video with a stub detector.
    """
    from orn.benchmarks.detect import measure

    publish(measure, request, kept)


@command("gpu")
def gpu(request: GpuRequest, *, as_json: AsJson = False) -> int:
    """Run all benchmarks of detection and training on a GPU.

    The measurements cover detection in every precision and with batches of 1 to 16; training steps
    of both ResNets; the loader; an exact resume. They run in order of importance, and each
    writes its own file: rerun the command to resume with the missing ones. The exit code is 3 if a
    measurement failed or ran out of time.
    """
    from orn.benchmarks.gpu import measure_all, report

    found = measure_all(request)
    echo_report(found, report, as_json=as_json)
    return 0 if all(each["state"] == "done" for each in found) else _PARTLY_FAILED
