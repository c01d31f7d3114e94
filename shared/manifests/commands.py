"""`orn manifest`."""

from pathlib import Path

import click

from shared.cli_options import data_option, dataset_argument, echo_json, json_option

__all__ = ["manifest"]


@click.group()
def manifest() -> None:
    """List the data sets and check their files."""


@manifest.command("list")
@json_option
def list_manifests(as_json: bool) -> None:
    """List the data sets whose manifests come with the project."""
    from shared.manifests.load import dataset_names, load_manifest
    from shared.text_table import columns

    manifests = [load_manifest(name) for name in dataset_names()]
    if as_json:
        listed = [
            {"name": each.name, "title": each.title, "form": each.form, "task": each.task}
            for each in manifests
        ]
        echo_json({"datasets": listed})
    else:
        rows = [(each.name, each.form, each.task, each.title) for each in manifests]
        click.echo(columns(rows))


@manifest.command()
@dataset_argument
@data_option
@click.option("--probe", "probe_videos", is_flag=True, help="Also open each video that is there.")
@json_option
def check(dataset: str, data_root: Path, probe_videos: bool, as_json: bool) -> int:
    """Check the label tables and videos of DATASET, a manifest's name or file.

    Counts segments of each split and class, and names what is missing, wrong or unseen in training.
    Ends with 1 if a table is not there or its labels cannot be used, or if none of the videos is
    there or can be opened; what can be counted is counted all the same.
    """
    from shared.manifests.check import check_dataset
    from shared.manifests.check_report import report_text, report_to_dict

    report = check_dataset(dataset, data_root, probe_videos=probe_videos)
    if as_json:
        echo_json(report_to_dict(report))
    else:
        click.echo(report_text(report))
    return 0 if report.is_usable else 1
