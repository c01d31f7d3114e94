"""What `orn ablate` is asked for, as options of the command; nothing heavy is imported here."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from orn.shared.common_options import DatasetName, FilePath, Names, Overrides
from orn.shared.config.bounded import read_json
from orn.shared.manifests.records import Split
from orn.shared.options import Option, Request
from orn.stage2_train.requests import Recipe, Weights
from orn.stage2_train.resources import Resources

COUNTS = "class-counts"
"""The row of leak reports that says what counts of objects tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way in which systems are trained."""

    name: str
    """What reports call it, such as the value of what is varied."""
    settings: tuple[str, ...] = ()
    """Settings of the recipe to replace; without any, its runs are those of the plain system."""
    systems: tuple[str, ...] = ()
    """Whose settings they replace, all if empty. The others are as the plain system is."""
    label: str = ""
    """Of its folder; empty for `variant-NAME`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """What every system is trained with each variant of."""

    name: str
    """Of the setting whose values the variants are, or `variant`."""
    variants: tuple[Variant, ...]
    """At least one, in the order of reports."""

    @staticmethod
    def of_setting(key: str, values: tuple[str, ...]) -> "Variation":
        """Return a variant for each value of one setting."""
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
    if not key or len(tried) < 2 or not all(re.fullmatch(r"[\w.+-]+", value) for value in tried):
        raise ValueError(
            f"expected KEY=VALUE,VALUE,..., such as optimiser.learning_rate=1e-3,3e-4, got {text!r}"
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


def _floor(text: Any) -> Any:
    """A number as it is; of a leak report the percent that counts of objects tell: what systems
    have to be above to have learned from the same shards."""
    if not isinstance(text, str) or not text.endswith(".json"):
        return text
    try:
        return {row["name"]: row["mean"] for row in read_json(Path(text))["rows"]}[COUNTS]
    except (LookupError, TypeError) as err:
        raise ValueError(
            f"expected a report of `orn leaks` with a row {COUNTS}, got {text} without it; run "
            "`orn leaks` again where the shards are"
        ) from err


NumSeeds = Annotated[int, Field(ge=1, le=1000), Option("Seeds of each system.", name="--seeds")]
Jobs = Annotated[
    int, Field(ge=1, le=256), Option("Trainings at the same time; they share the cores.")
]
_Variation = Annotated[Variation, BeforeValidator(_variation)]
_VALUES = "KEY=V1,V2,..."


class AblationRequest(Request):
    """Which systems to train and to compare."""

    manifest: DatasetName
    table: Annotated[
        Literal["2", "5", "baselines", "controls", "leaks"], Option("Table of the paper.")
    ]
    systems: Annotated[Names, Option("Only these of its rows, separated by commas.")] = ()
    num_seeds: NumSeeds = 5
    recipe: Recipe = None
    overrides: Overrides = ()
    search: Annotated[
        _Variation | None,
        Option(
            "Choose this setting for each system by the validation split, with the first seed.",
            metavar=_VALUES,
        ),
    ] = None
    vary: Annotated[
        _Variation | None,
        Option(
            "Train every system with each of these values, and report the metric against them.",
            metavar=_VALUES,
        ),
    ] = None
    variants: Annotated[
        tuple[Annotated[Variant, BeforeValidator(_variant)], ...],
        Option(
            "Train all systems, or only these, with these settings; repeatable. The other variants "
            "are compared with the first.",
            name="--variant",
            metavar="NAME[@SYSTEM,...][:KEY=V,...]",
        ),
    ] = ()
    primary: Annotated[
        tuple[Annotated[tuple[str, str], BeforeValidator(_pair)], ...],
        Option(
            "Primary contrast between two systems, or two SYSTEM@VARIANT; repeatable. All other "
            "contrasts are exploratory.",
            metavar="BETTER:WORSE",
        ),
    ] = ()
    floor: Annotated[
        Annotated[float, Field(ge=0, le=100), BeforeValidator(_floor)] | None,
        Option(
            "Percent that needs no look at what labels are about, or the report of `orn leaks`, "
            f"whose {COUNTS} are it.",
            metavar="PERCENT|REPORT.json",
            usual="chance",
        ),
    ] = None
    late_fusion: Annotated[
        bool,
        Option(
            "Compare activity-head and object-head, trained apart, with their logits averaged, too."
        ),
    ] = False
    curve: Annotated[
        Annotated[tuple[str, str], BeforeValidator(_point)] | None,
        Option(
            "What differs from the ablations of --point, and its value here, such as objects=9; "
            "the report of all of them is kept as OUT/curve-NAME-SPLIT, too.",
            metavar="NAME=VALUE",
        ),
    ] = None
    points: Annotated[
        tuple[Annotated[tuple[str, Path], BeforeValidator(_point)], ...],
        Option(
            "The report of another ablation for the curve; may be repeated.",
            name="--point",
            metavar="VALUE=REPORT.json",
        ),
    ] = ()
    over_seconds: Annotated[bool, Option("Draw curves against seconds of training.")] = False
    out: Annotated[FilePath | None, Option("Folder of the runs.", usual="runs/ablate-DATASET")] = (
        None
    )
    name: Annotated[
        Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$")] | None,
        Option("Of the report, to keep it beside others of OUT.", usual="table-TABLE"),
    ] = None
    weights: Weights = None
    test: Annotated[bool, Option("When all is trained, read the test split, once.")] = False
    jobs: Jobs = 1
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        names = [variant.name for variant in self.variants]
        values = [value for value, _ in self.points]
        of_curve = () if self.curve is None else self.curve[1:]
        if len({*names}) < len(names):
            raise ValueError(
                f"--variant: expected each name once, got {', '.join(names)}; rename one"
            )
        if (self.search is not None) + (self.vary is not None) + bool(self.variants) > 1:
            raise ValueError(
                "--search, --vary and --variant: expected one of them, got several; search first, "
                "then pass the chosen setting by --set"
            )
        if len({*values, *of_curve}) < len(values) + len(of_curve):
            raise ValueError("--point: expected each value once, --curve's too, got one twice")
        if bool(self.points) != bool(self.curve) or (self.curve and self.variation):
            raise ValueError(
                "--curve: expected --point VALUE=REPORT.json of other ablations beside --curve "
                "NAME=VALUE, and neither --vary nor --variant; give both, or leave out both"
            )
        return self

    @property
    def variation(self) -> Variation | None:
        """What every system is trained with each variant of."""
        return Variation(name="variant", variants=self.variants) if self.variants else self.vary

    @property
    def seeds(self) -> range:
        """Those of each system."""
        return range(self.num_seeds)

    @property
    def folder(self) -> Path:
        """Of the runs."""
        return self.out or Path("runs") / f"ablate-{Path(self.manifest).stem}"

    @property
    def split(self) -> Split:
        """What is reported."""
        return "test" if self.test else "validation"

    @property
    def report_name(self) -> str:
        """Of the files of the report, without their endings."""
        varied = "" if self.variation is None else f"-{self.variation.name.rpartition('.')[2]}"
        return f"{self.name or f'table-{self.table}{varied}'}-{self.split}"
