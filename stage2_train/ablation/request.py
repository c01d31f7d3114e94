"""The options of `orn ablate`; this module imports nothing slow."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from orn.shared.common_options import DatasetName, FilePath, Names, Overrides
from orn.shared.manifests.records import Split
from orn.shared.options import Option, Request
from orn.stage2_train.requests import Recipe, Weights
from orn.stage2_train.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Recipe settings with which systems are trained."""

    name: str
    """Name in reports, such as the value of the varied setting."""
    settings: tuple[str, ...] = ()
    """Recipe settings to override; if empty, the system is not modified."""
    systems: tuple[str, ...] = ()
    """Systems to which the settings apply, all if empty. The other systems are not modified."""
    label: str = ""
    """Name of the subfolder for its runs; `variant-NAME` if empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """Variants with which every system is trained."""

    name: str
    """Name of the varied setting, or `variant`."""
    variants: tuple[Variant, ...]
    """At least one, in the order of the report."""

    @staticmethod
    def of_setting(key: str, values: tuple[str, ...]) -> "Variation":
        """Return one variant for each value of a setting."""
        short = key.rpartition(".")[2]
        variants = [
            Variant(name=value, settings=(f"{key}={value}",), label=f"{short}-{value}")
            for value in values
        ]
        return Variation(name=key, variants=tuple(variants))


def _variation(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    key, _, values = text.partition("=")
    tried = tuple(value.strip() for value in values.split(","))
    fits = all(re.fullmatch(r"[\w.+-]+", value) for value in tried)
    if not key or len(tried) < 2 or len({*tried}) < len(tried) or not fits:
        raise ValueError(
            "expected KEY=VALUE,VALUE,... with different values, such as "
            f"optimiser.learning_rate=1e-3,3e-4, got {text!r}"
        )
    return Variation.of_setting(key, tried)


def _variant(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    found = re.fullmatch(r"([\w.+-]+)(?:@([\w,.-]+))?(?::(.+=.*))?", text)
    if found is None:
        raise ValueError(f"expected NAME[@SYSTEM,...][:KEY=VALUE,KEY=VALUE,...], got {text!r}")
    name, systems, settings = found.groups()
    return Variant(
        name=name,
        settings=tuple(re.split(r",(?=[\w.]+=)", settings)) if settings else (),
        systems=tuple(systems.split(",")) if systems else (),
    )


def _pair(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    better, _, worse = text.partition(":")
    if not better or not worse or better == worse:
        raise ValueError(f"expected BETTER:WORSE, got {text!r}")
    return better, worse


def _point(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    name, _, value = text.partition("=")
    if not re.fullmatch(r"[\w. -]+", name, re.ASCII) or not value:
        raise ValueError(f"expected NAME=VALUE, got {text!r}")
    return name, value


NumSeeds = Annotated[
    int, Field(ge=1, le=1000), Option("Number of seeds per system.", name="--seeds")
]
Jobs = Annotated[
    int, Field(ge=1, le=256), Option("Number of training runs in parallel; they share the cores.")
]
_Variation = Annotated[Variation, BeforeValidator(_variation)]
_VALUES = "KEY=V1,V2,..."


class AblationRequest(Request):
    """The options of `orn ablate`."""

    manifest: DatasetName
    table: Annotated[
        Literal["2", "5", "baselines"],
        Option("Table of the paper, or another set of systems."),
    ]
    systems: Annotated[Names, Option("Only these rows of the table, comma-separated.")] = ()
    num_seeds: NumSeeds = 5
    recipe: Recipe = None
    overrides: Overrides = ()
    search: Annotated[
        _Variation | None,
        Option(
            "Choose this setting for each system on the validation split, using the first seed.",
            metavar=_VALUES,
        ),
    ] = None
    vary: Annotated[
        _Variation | None,
        Option(
            "Train every system with each of these values and report the metric for each.",
            metavar=_VALUES,
        ),
    ] = None
    variants: Annotated[
        tuple[Annotated[Variant, BeforeValidator(_variant)], ...],
        Option(
            "Train all systems, or only these, with these settings; may be repeated. The other "
            "variants are compared with the first.",
            name="--variant",
            metavar="NAME[@SYSTEM,...][:KEY=V,...]",
        ),
    ] = ()
    primary: Annotated[
        tuple[Annotated[tuple[str, str], BeforeValidator(_pair)], ...],
        Option(
            "Primary contrast between two systems, or two SYSTEM@VARIANT; may be repeated. All "
            "other contrasts are exploratory.",
            metavar="BETTER:WORSE",
        ),
    ] = ()
    floor: Annotated[
        Annotated[float, Field(ge=0, le=100)] | None,
        Option(
            "Score of a trivial baseline in percent. A system that does not exceed it has not "
            "learned.",
            usual="chance",
        ),
    ] = None
    late_fusion: Annotated[
        bool,
        Option(
            "Also report the averaged logits of activity-head and object-head, trained separately."
        ),
    ] = False
    curve: Annotated[
        Annotated[tuple[str, str], BeforeValidator(_point)] | None,
        Option(
            "Combine this ablation with those of --point in a report OUT/curve-NAME-SPLIT: NAME is "
            "the quantity that varies, VALUE its value in this ablation, such as objects=9.",
            metavar="NAME=VALUE",
        ),
    ] = None
    points: Annotated[
        tuple[Annotated[tuple[str, Path], BeforeValidator(_point)], ...],
        Option(
            "Report of a different ablation for --curve; may be repeated.",
            name="--point",
            metavar="VALUE=REPORT.json",
        ),
    ] = ()
    over_seconds: Annotated[bool, Option("Plot curves against training time.")] = False
    out: Annotated[FilePath | None, Option("Folder of the runs.", usual="runs/ablate-DATASET")] = (
        None
    )
    name: Annotated[
        Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$")] | None,
        Option("Base name of the report, to keep several reports in OUT.", usual="table-TABLE"),
    ] = None
    weights: Weights = None
    test: Annotated[bool, Option("Evaluate on the test split once, after all runs.")] = False
    jobs: Jobs = 1
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        names = [variant.name for variant in self.variants]
        values = [value for value, _ in self.points]
        of_curve = () if self.curve is None else self.curve[1:]
        if len({*names}) < len(names):
            raise ValueError(
                f"--variant: expected unique names, got {', '.join(names)}; rename one"
            )
        if (self.search is not None) + (self.vary is not None) + bool(self.variants) > 1:
            raise ValueError(
                "--search, --vary and --variant: expected at most one, got several; search first, "
                "then pass the selected setting with --set"
            )
        if len({*values, *of_curve}) < len(values) + len(of_curve):
            raise ValueError(
                "--point: expected values that differ from each other and from the value in "
                "--curve, got duplicates; rename one"
            )
        if bool(self.points) != bool(self.curve) or (self.curve and self.variation):
            raise ValueError(
                "--curve and --point require each other and exclude --vary and --variant; pass "
                "--curve NAME=VALUE and --point VALUE=REPORT.json, or neither"
            )
        return self

    @property
    def variation(self) -> Variation | None:
        """The variants given by --variant or --vary; None if nothing is varied."""
        return Variation(name="variant", variants=self.variants) if self.variants else self.vary

    @property
    def seeds(self) -> range:
        """Training seeds of each system."""
        return range(self.num_seeds)

    @property
    def folder(self) -> Path:
        """Folder that contains the runs."""
        return self.out or Path("runs") / f"ablate-{Path(self.manifest).stem}"

    @property
    def split(self) -> Split:
        """Split to report on."""
        return "test" if self.test else "validation"

    @property
    def report_name(self) -> str:
        """Base name of the report files, without extension."""
        varied = "" if self.variation is None else f"-{self.variation.name.rpartition('.')[2]}"
        return f"{self.name or f'table-{self.table}{varied}'}-{self.split}"
