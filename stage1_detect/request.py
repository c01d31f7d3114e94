"""What the command line asks of detect, and how it is carried out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.devices import devices_of_workers
from shared.errors import ConfigError, DetectorError
from shared.jobs.lock import locked
from shared.manifests.load import load_dataset, shipped_detectors
from shared.manifests.records import Dataset
from shared.shards.plan import PLAN_NAME
from stage1_detect.detector_choice import DetectorFiles, choose_files
from stage1_detect.engines.local import LocalEngine
from stage1_detect.engines.ray import RayEngine
from stage1_detect.job import DetectSummary, run_job
from stage1_detect.planning import Scope, check_videos, clear_folder, plan_job, with_estimates
from stage1_detect.retrying import failed_units, forget_failed

if TYPE_CHECKING:
    from stage1_detect.detector import Detector
    from stage1_detect.engines.work import Engine
    from stage1_detect.mmdet.precision import Precision

__all__ = ["DetectRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectRequest:
    """The options of `orn detect`; its help says what they mean."""

    dataset: str
    data_root: Path
    out: Path | None
    checkpoint: Path | None
    config: str | None
    score_threshold: float
    batch: int
    workers: int | None
    engine: str
    address: str | None
    threads: int
    scope: Scope
    precision: Precision
    fresh: bool
    retry_failed: bool
    device: str

    def describe(self) -> dict[str, Any]:
        """The settings and the amount of work, as JSON has them; writes nothing.

        Raises:
            PipelineError: as `run` before it detects.
        """
        from stage1_detect.dry_run import describe_job

        data = self._load()
        job = plan_job(
            data, entry=None, folder=self._folder(data), scope=self.scope, fresh=self.fresh
        )
        again = failed_units(job) if self.retry_failed and not self.fresh else ()
        return describe_job(
            with_estimates(job, again),
            self._files(data),
            score_threshold=self.score_threshold,
            fresh=self.fresh,
            again=again,
        )

    def run(self) -> DetectSummary:
        """Detects what is asked for and not there yet.

        Raises:
            PipelineError: if the data set, the detector or the folder is not as it should be.
        """
        data = self._load()
        engine, detector = self._engine_and_detector(data)
        folder = self._folder(data)
        settings: dict[str, Any] = {"batch": self.batch, "threads": self.threads}
        if engine.device_type is not None:
            settings["device"] = engine.device_type
        with locked(folder / PLAN_NAME, job="orn detect or orn import-masks"):
            job = plan_job(
                data,
                entry=detector.entry,
                folder=folder,
                scope=self.scope,
                settings=settings,
                fresh=self.fresh,
            )
            # Nothing is removed before it is known that the job can start.
            removes = self.fresh or self.retry_failed
            with engine.joined() if removes else nullcontext():
                if self.fresh:
                    clear_folder(folder)
                elif self.retry_failed:
                    job = forget_failed(job)
                return run_job(job, detector=detector, batch=self.batch, engine=engine)

    def _engine_and_detector(self, data: Dataset) -> tuple[Engine, Detector]:
        from stage1_detect.mmdet.detector import load_detector

        files = self._files(data)
        if self.engine == "ray":
            files = files.absolute()
        load = partial(
            load_detector,
            config=files.config,
            checkpoint=files.checkpoint,
            score_threshold=self.score_threshold,
            precision=self.precision,
            threads=self.threads,
        )
        engine = self._engine(load)
        device = engine.driver_device
        return engine, load(device or "cpu", detects=device is not None)

    def _engine(self, load: Callable[[str], Detector]) -> Engine:
        if self.engine == "ray":
            if self.device not in ("auto", "cpu", "cuda"):
                raise ConfigError(
                    f"--engine ray: wanted --device auto, cpu or cuda, found {self.device!r}; Ray "
                    "chooses the GPU of each actor"
                )
            return RayEngine(
                load=load, device=self.device, workers=self.workers, address=self.address
            )
        if self.address is not None:
            raise ConfigError(f"--address {self.address}: only --engine ray has one")
        devices = devices_of_workers(self.device, self.workers, error=DetectorError)
        return LocalEngine(load=load, devices=devices)

    def _load(self) -> Dataset:
        data = load_dataset(self.dataset, self.data_root, labels=False)
        check_videos(data)
        return data

    def _files(self, data: Dataset) -> DetectorFiles:
        return choose_files(
            data.detector,
            config=self.config,
            checkpoint=self.checkpoint,
            shipped=shipped_detectors().values(),
        )

    def _folder(self, data: Dataset) -> Path:
        return self.out or Path("shards") / data.name
