"""The entry point of ``orgshare``. Commands are imported when it runs, so that an early Ctrl-C is one line too."""

from __future__ import annotations

import contextlib
import io
import sys


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows a question mark; it is no reason to fail.
            with contextlib.suppress(ValueError, OSError):
                stream.reconfigure(errors="replace")
    try:
        from orgshare.cli.commands import cli  # noqa: PLC0415

        cli(prog_name="orgshare")
    except KeyboardInterrupt:
        sys.stderr.write("Error: interrupted: nothing was done\n")
        sys.exit(1)
