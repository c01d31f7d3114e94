"""The metric of systems against a setting, as tables and as a picture."""

import pytest

from stage2_train.ablation.curve import curve_markdown, curve_report, curve_text
from stage2_train.ablation.report_files import plot_curve


def _report(**percent: float) -> dict:
    """What `ablation_report` says of two systems."""
    better, worse = percent
    difference = percent[better] - percent[worse]
    return {
        "dataset": "demo",
        "split": "test",
        "metric": "top1",
        "num_segments": 100,
        "chance": 8.3,
        "systems": [
            {
                "system": name,
                "mean": mean,
                "half_width": 1.5,
                "num_seeds": 3,
                "clips_per_second": 100.0 + mean,
            }
            for name, mean in percent.items()
        ],
        "orderings": [
            {
                "better": better,
                "worse": worse,
                "verdict": "holds" if difference > 2 else "not decided",
                "mean": difference,
                "half_width": 2.0,
                "num_seeds": 3,
            }
        ],
    }


@pytest.fixture
def report() -> dict:
    reports = {"2": _report(orn=50.0, r18=49.0), "4": _report(orn=80.0, r18=60.0)}
    return curve_report("data.clip_frames", reports)


def test_one_line_a_value(report) -> None:
    assert curve_markdown(report) == (
        "| data.clip_frames | orn | r18 |\n"
        "| --- | --- | --- |\n"
        "| 2 | 50.0 +- 1.5 | 49.0 +- 1.5 |\n"
        "| 4 | 80.0 +- 1.5 | 60.0 +- 1.5 |\n\n"
        "| data.clip_frames | orn over r18 |\n"
        "| --- | --- |\n"
        "| 2 | 1.0 +- 2.0 (not decided) |\n"
        "| 4 | 20.0 +- 2.0 (holds) |\n\n"
        "| data.clip_frames | orn | r18 |\n"
        "| --- | --- | --- |\n"
        "| 2 | 150 clips/s | 149 clips/s |\n"
        "| 4 | 180 clips/s | 160 clips/s |\n"
    )
    head = curve_text(report).split("\n")[0]
    assert head.startswith("demo, test: top1 in percent on 100 segments against data.clip_frames")
    assert "over 3 seeds" in head


def test_without_expected_orderings_there_is_no_table_of_them(report) -> None:
    for each in report["by_value"].values():
        each["orderings"] = []
    assert "over" not in curve_markdown(report)


def test_the_picture_changes_with_the_figures(report, tmp_path) -> None:
    plot_curve(report, tmp_path / "a.png")
    plot_curve(report, tmp_path / "b.png")
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert (tmp_path / "b.png").read_bytes() == content
    report["by_value"]["2"]["systems"][0]["half_width"] = None
    plot_curve(report, tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() != content
