"""``make bench``: run every measurement, or those that are named, and print their tables.

With ``--write FILE`` the tables go to a document as well, with what they were measured on.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from bench import calls, deciding, pacing, serving, starting, targets

MEASUREMENTS: dict[str, Callable[[], str]] = {
    "calls": calls.table,
    "deciding": deciding.table,
    "pacing": pacing.table,
    "targets": targets.table,
    "serving": serving.table,
    "starting": starting.table,
}

HEAD = """# Measurements

Written by `make measurements`. Calls are exact; seconds and rates are of one machine ({machine}), so look at the
ratios.
"""


def main(arguments: list[str]) -> int:
    """Print the tables; 2 for a measurement that does not exist."""
    target = None
    if arguments[:1] == ["--write"]:
        target, arguments = Path(arguments[1]), arguments[2:]
    unknown = [name for name in arguments if name not in MEASUREMENTS]
    if unknown:
        print(f"no measurement {unknown[0]}; there are {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    tables = []
    for name in arguments or MEASUREMENTS:
        tables.append(MEASUREMENTS[name]())
        print(tables[-1] + "\n", flush=True)
    if target is not None:
        machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
        target.write_text("\n\n## ".join([HEAD.format(machine=machine).strip(), *tables]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
