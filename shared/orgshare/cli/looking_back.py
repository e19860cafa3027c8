"""``history``: who gained and who lost which image through us, and when.

The state has it, so this needs no access to the cloud. What can go wrong is a time that is read as another: times
without a zone are UTC, as everywhere here.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import click

from orgshare.cli import statuses
from orgshare.cli.running import Terminal, command, opened_state, policy_option
from orgshare.record.history import Row, read_history
from orgshare.report.times import moment
from orgshare.wiring import utc_now

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic for the type checker only
    """A time: a day, a day and an hour, or how long ago."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time in UTC; a usage error says what was expected."""
        text = str(value)
        try:
            if text[:-1].isdecimal() and text[-1:] in _UNITS:
                return utc_now() - int(text[:-1]) * _UNITS[text[-1]]
            when = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is no time: expected 2026-11-21, 2026-11-21T12:00Z, or 7d, 12h, 30m", param, ctx)
        return when if when.tzinfo is not None else when.replace(tzinfo=timezone.utc)


@click.command()
@click.option("--image", metavar="IMAGE", help="Only this image.")
@click.option("--account", metavar="ACCOUNT", help="Only this account.")
@click.option("--since", metavar="TIME", type=Moment(), help="Only what was seen since: a day, a time, or 7d.")
@policy_option
@command
def history(
    terminal: Terminal, *, image: str | None, account: str | None, since: datetime | None, policy: str | None
) -> int:
    """Who gained and lost which image through orgshare, oldest first."""
    _, state = opened_state(terminal, policy)
    rows = read_history(state.store, image=image, account=account, since=since)
    terminal.answer({"history": [_row(row) for row in rows]}, [_line(row) for row in rows] or ["nothing was seen"])
    return statuses.FINE


def _row(row: Row) -> dict[str, object]:
    return {
        "at": moment(row.at),
        "image": row.image,
        "account": row.account,
        "what": row.what,
        "channel": row.channel,
        "rules": list(row.rules),
        "why": row.why,
        "run": row.run,
    }


def _line(row: Row) -> str:
    sign = "+" if row.what == "gained" else "-"
    rules = f" for {', '.join(row.rules)}" if row.rules else ""
    return f"{moment(row.at)}  {sign} {row.image}  {row.account}  {row.channel}{rules}: {row.why} (run {row.run})"
