"""`orn bench`: the commands that measure this installation against references."""

from orn.benchmarks.measuring import publish
from orn.benchmarks.requests import (
    ClipsRequest,
    DetectBenchRequest,
    GpuRequest,
    Kept,
    LoaderRequest,
    PredictBenchRequest,
    ScaleRequest,
    TrainStepRequest,
)
from orn.shared.common_options import AsJson
from orn.shared.echo import echo_report
from orn.shared.options import command

_PARTLY_FAILED = 3


@command("object-head")
def object_head(request: ClipsRequest, kept: Kept) -> None:
    """The object head, forward and backward, against plain loops.

    The ratio is one of times; memory_ratio compares the most that torch held at once beyond inputs
    and weights. Both sides must give the same results and gradients.
    """
    from orn.benchmarks.object_head import measure

    publish(measure, request, kept)


@command("train-step")
def train_step(request: TrainStepRequest, kept: Kept) -> None:
    """A whole training step against the same network with plain loops.

    Frames of 224 x 224 pixels: forward, losses, backward, norm of the gradient, Adam. The reference
    computes in fp32 with NCHW memory, 3D convolutions and plain loops; ours in fp32 (the ratio) and
    in bf16 (bf16_ratio), which is only fast where the processor has instructions for it.

    --phase object compares the first phase with itself: with the ResNet's weights kept as they are
    (phases.object_head_trains_resnet = false) against training them.
    """
    from orn.benchmarks.train_step import measure

    publish(measure, request, kept)


@command("loader")
def loader(request: LoaderRequest, kept: Kept) -> None:
    """Clips with masks a second, on one core, four frames of 224 pixels each.

    The reference decodes the video, unpickles all its masks, and takes pycocotools and PIL, as the
    loader does that the authors released. Ours reads a clip store and a shard, frames drawn anew
    each time. The shard stays open and its unpacked chunks in memory, as they do in a training
    whose shards fit into 256 MiB a process; masks are decoded for each clip anew.
    `unopened_seconds` opens the shard and unpacks chunks for every clip, as it is where there are
    many more shards than that. `jpeg_only_seconds` decodes such pictures and does nothing else.
    Bytes a frame of both forms are measured, too.
    """
    from orn.benchmarks.loader import measure

    publish(measure, request, kept)


@command("detect")
def detect(request: DetectBenchRequest, kept: Kept) -> None:
    """Detecting a video against a loop of inference_detector, pycocotools and pickle.

    Same weights, same machine, in turns, Mask R-CNN with ResNet-50 at up to 800 x 1333. Each side
    has its usual settings: ours a process a core with one thread each, the loop one process with
    all threads. --workers 1 --threads 1 compares one core. Seconds are those of a frame, with
    processes started and weights loaded; the ratio is loop over ours. In float32 at least nine in
    ten of the loop's detections must be among ours. Also measured: the time of each part of detect,
    how far other precisions are from float32 on the CPU, and the peak memory of a long video
    against a short one, in processes with a detector that has no network.
    """
    from orn.benchmarks.detect import measure

    publish(measure, request, kept)


@command("predict")
def predict(request: PredictBenchRequest, kept: Kept) -> None:
    """Explaining a prediction against a pass of the network, and the memory of a long video.

    Ours are the CPU seconds of a pass and of ablating every pair and object of the batch; the
    reference is the pass. share_of_a_pass is what explaining adds to it. Memory is the peak of a
    process that predicts for a video as orn predict does, with a detector that has no network.
    """
    from orn.benchmarks.predict import measure

    publish(measure, request, kept)


@command("scale")
def scale(request: ScaleRequest, kept: Kept) -> None:
    """What a data set of VLOG's size costs before its first frame and its first clip.

    Makes up videos, tables and shards as VLOG has them, then plans a detect job, opens the folder
    of shards, reads clips that nothing was read of, and has four processes make clips. Two
    processes make clips as `orn eval --views 10x1` asks for them. Pictures are not decoded. The
    reference opens videos with PyAV; the ratio is that over planning one, in CPU time.
    """
    from orn.benchmarks.scale import measure

    publish(measure, request, kept)


@command("gpu")
def gpu(request: GpuRequest, *, as_json: AsJson = False) -> int:
    """Measure detection and training on a card against references.

    The other benchmarks, one after another: detection in every precision, by the fast path and in
    batches of 1 to 16, with the time of each part and the difference from float32 on the CPU;
    training steps of both ResNets; the loader; two processes on one card; an exact resume. The most
    important first, each in a file of its own as soon as it is known: the same command again does
    what is missing. Ends with 3 if something failed or time was too short.
    """
    from orn.benchmarks.gpu import measure_all, report

    found = measure_all(request)
    echo_report(found, report, as_json=as_json)
    return 0 if all(each["state"] == "done" for each in found) else _PARTLY_FAILED
