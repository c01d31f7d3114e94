"""The error classes of the project, all derived from `PipelineError`.

Each class also derives from the built-in error that it resembles. `exit_code` is the exit code of
the command line; an instance may set another one.
"""

from orn.shared.text import escape

SOME_FAILED = 3
"""Exit code of a command that finished, but failed for some videos."""


class PipelineError(Exception):
    """Base class; raised directly where no other class fits, for example if the disk is full."""

    exit_code = 1

    def __init__(
        self,
        problem: str = "",
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        remedy: str | None = None,
    ) -> None:
        """Create an error, as a message or as parts that are joined into
        `WHERE: expected EXPECTED, got GOT; REMEDY`.

        Args:
            problem: the whole message; with `where` or `remedy`, what stands between them.
            where: the object with the problem, such as a file.
            expected: the expected value, if no `problem` is given.
            got: the actual value.
            remedy: what the user can do.
        """
        super().__init__(problem)
        self.where, self.expected, self.got = (
            None if part is None else str(part) for part in (where, expected, got)
        )
        self.remedy = remedy

    @property
    def reason(self) -> str:
        """The message without `where`, for a caller that adds its own."""
        found = {"expected": self.expected, "got": self.got}
        problem = ", ".join(f"{key} {part}" for key, part in found.items() if part is not None)
        return _on_one_line("; ".join(filter(None, (str(self.args[0]), problem, self.remedy))))

    def __str__(self) -> str:
        """Return the message on one line, with control characters in names escaped."""
        return self.reason if self.where is None else f"{_on_one_line(self.where)}: {self.reason}"


def _on_one_line(text: str) -> str:
    return escape(" ".join(text.splitlines()))


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
