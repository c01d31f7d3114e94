"""The command `orn doctor`."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from orn.commands import options
from orn.commands.output import echo, echo_json, echo_text

if TYPE_CHECKING:
    from orn.doctor import Check


@click.command("doctor")
@options.as_json
def doctor(*, as_json: bool) -> int:
    """Check the installation and suggest fixes. The exit code is 1 if a required component does not
    work.
    """
    from orn.doctor import run_checks

    checks = []
    for check in run_checks():
        checks.append(check)
        if not as_json:
            echo_text(_line(check))
    is_well = all(check.status != "failed" for check in checks)
    if as_json:
        echo_json({"ok": is_well, "checks": [asdict(check) for check in checks]})
    else:
        echo("all required components work" if is_well else "a required component does not work")
    return 0 if is_well else 1


def _line(check: "Check") -> str:
    mark = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}[check.status]
    remedy = f"\n         -> {check.remedy}" if check.remedy else ""
    return f"{mark}  {check.name}: {check.found}{remedy}"
