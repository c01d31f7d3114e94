"""The errors that the project raises on purpose, one tree under `PipelineError`.

Each class takes one message string, so that an error survives pickling out of a worker process, and
also derives from the builtin error it resembles. `exit_code` is what the command line ends with.
"""

from orn.shared.text import escape


class PipelineError(Exception):
    """Root of the tree; raised itself where no narrower class fits, such as a full disk."""

    exit_code = 1

    def __str__(self) -> str:
        """Return the message on one line; names in it may hold what a terminal would act on."""
        return escape(" ".join(super().__str__().splitlines()))


class ConfigError(PipelineError, ValueError):
    """A setting that is unknown, contradictory or does not fit what an earlier run recorded."""

    exit_code = 2


class ManifestError(PipelineError, ValueError):
    """A manifest or a label table that cannot be read as what it claims to be."""


class UnknownDatasetError(ManifestError):
    """A data set name for which there is no manifest."""

    exit_code = 2


class DataRootError(PipelineError, FileNotFoundError):
    """A data root that is absent, or that lacks what the manifest says lies under it."""


class ShapeError(PipelineError, ValueError):
    """An array or record whose shape, dtype or range is not the documented one."""


class ShardFormatError(PipelineError, ValueError):
    """A shard, or a mask in it, that is damaged or not of a format that this version reads."""


class ShardNotFoundError(PipelineError, FileNotFoundError):
    """A shard, a folder of shards, or a video in it that does not exist."""


class ObjectImportError(PipelineError, ValueError):
    """A file of objects from elsewhere that is damaged, or holds what no such file needs."""


class JoinError(PipelineError, LookupError):
    """A time in a video for which there is no detection frame near enough."""


class VideoDecodeError(PipelineError, OSError):
    """A video that cannot be opened or of which no frame can be decoded."""


class ClipStoreError(PipelineError, ValueError):
    """A clip store that is damaged, incomplete or of another format."""


class CheckpointError(PipelineError, ValueError):
    """A checkpoint that cannot be loaded or does not fit the network."""


class DetectorError(PipelineError, RuntimeError):
    """A detector that cannot be built, or an operator that is not available to it."""


class TrainingError(PipelineError, RuntimeError):
    """A training that cannot go on, such as after a loss that is not finite."""
