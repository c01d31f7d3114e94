"""The error classes of the project, all derived from `PipelineError`.

Each class takes a single message, so that errors can be pickled between processes, and also derives
from the built-in error that it resembles. `exit_code` is the exit code of the command line.
"""

from orn.shared.text import escape

SOME_FAILED = 3
"""Exit code of a command that finished, but failed for some videos."""


class PipelineError(Exception):
    """Base class; raised directly where no other class fits, for example if the disk is full."""

    exit_code = 1

    def __str__(self) -> str:
        """Return the message on one line, with control characters in names escaped."""
        return escape(" ".join(super().__str__().splitlines()))


class ConfigError(PipelineError, ValueError):
    """A setting is unknown, contradictory or different from the recorded one."""

    exit_code = 2


class ManifestError(PipelineError, ValueError):
    """A manifest or label table is invalid."""


class UnknownDatasetError(ManifestError):
    """A data set name has no manifest."""

    exit_code = 2


class DataRootError(PipelineError, FileNotFoundError):
    """A data root, or a file in it that the manifest lists, is missing."""


class ShapeError(PipelineError, ValueError):
    """An array or record has an invalid shape, dtype or range."""


class ShardFormatError(PipelineError, ValueError):
    """A shard or a mask is damaged or has an unsupported format."""


class ShardNotFoundError(PipelineError, FileNotFoundError):
    """A shard, a folder of shards or a video in them does not exist."""


class ObjectImportError(PipelineError, ValueError):
    """A file with objects to import is damaged or has unexpected content."""


class JoinError(PipelineError, LookupError):
    """A time in a video is not close to any frame with detections."""


class VideoDecodeError(PipelineError, OSError):
    """A video cannot be opened or has no decodable frame."""


class ClipStoreError(PipelineError, ValueError):
    """A clip store is damaged, incomplete or in a different format."""


class CheckpointError(PipelineError, ValueError):
    """A checkpoint cannot be loaded or does not match the network."""


class DetectorError(PipelineError, RuntimeError):
    """A detector cannot be built, or lacks an operator."""


class TrainingError(PipelineError, RuntimeError):
    """Training cannot continue, for example after a loss that is not finite."""
