"""Answers as text: status, explain, who and holds.

The first line of ``explain`` is the answer alone, so that a person and ``head -1`` read the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.text import Text

from orgshare.decide.decisions import ImageDecision
from orgshare.guard import Approval
from orgshare.ledger import Ledger
from orgshare.report.documents import Document, channels, expires, moment
from orgshare.report.explaining import Explanation
from orgshare.report.lines import HELD, QUIET, REFUSED, STRONG, STYLES, Cell, columns, counted, line, symbol
from orgshare.report.names import Names
from orgshare.report.overview import Counts, Overview, Row
from orgshare.report.plan_text import MOST, heading, hold_lines, section_lines
from orgshare.words import Grant

MOST_IMAGES = 40
"""Images that status lists one by one; of more, those with nothing to see are counted."""

_HEADS = ("wanted", "in step", "due", "pending", "refused", "held", "unread")


def status_lines(overview: Overview, status: Document, names: Names) -> list[Text]:
    """Three tables of one form, then what is held, under way, found and unread."""
    images: Sequence[Row] = overview.images
    if len(images) > MOST_IMAGES:
        images = [row for row in images if not row.quiet]
    quiet = len(overview.images) - len(images)
    read = {row["shard"]: row["read_at"] for row in status["shards"]}
    blocks = [
        _table("rule", overview.rules, {}, "images"),
        _table("shard", overview.shards, {s: f"read {t}" if t else "not read" for s, t in read.items()}, "images"),
        _table("image", images, {row.name: names.image(row.name) for row in images}, None),
    ]
    if quiet:
        blocks[-1].append(Text(f"and {counted(quiet, 'more image')} in step", style=QUIET))
    lines = [each for block in (*blocks, *section_lines(status, names)) for each in (*block, Text())]
    return [*lines, _status_summary(overview.whole)]


def _table(name: str, rows: Iterable[Row], notes: dict[str, str], images: str | None) -> list[Text]:
    heads: list[Cell] = [Text(name, style=STRONG), *([images] if images else []), *_HEADS]
    body = [heads]
    for row in rows:
        counts = row.counts
        numbers: list[Cell] = [
            *([str(counts.images)] if images else []),
            str(counts.wanted),
            str(counts.in_step),
            str(counts.due),
            str(counts.pending),
            Text(str(counts.refused), style=STYLES[REFUSED] if counts.refused else ""),
            Text(str(counts.held), style=STYLES[HELD] if counts.held else ""),
            str(counts.unread),
        ]
        body.append([row.name, *numbers, notes.get(row.name, "")])
    return columns(body, right=frozenset(range(1, len(heads))))


def _status_summary(whole: Counts) -> Text:
    parts = [f"{counted(whole.images, 'image')}, {whole.in_step} of {counted(whole.wanted, 'pair')} in step"]
    parts += [f"{number} {word}" for word, number in (
        ("due", whole.due), ("pending", whole.pending), ("refused", whole.refused), ("held", whole.held),
    ) if number]  # fmt: skip
    parts += [f"{counted(whole.unread, 'image')} unread"] if whole.unread else []
    return Text(", ".join(parts))


def explain_lines(explanation: Explanation, names: Names) -> list[Text]:
    """The answer, then everything that it rests on."""
    image, account = explanation.image, explanation.account
    rows: list[tuple[str, Cell]] = [
        ("image", _spaced(image.id, names.image(image.id), f"({names.place(image.shard)})")),
        ("account", names.named_account(account)),
    ]
    rows += [("rule", f"{place.where()}: {_sign(place.wants)}, {place.why}") for place in explanation.places]
    if not explanation.places:
        rows.append(("rule", "no rule selects the image"))
    rows.append(("channel", " and ".join(explanation.channels) or "none"))
    rows += [("evidence", explanation.evidence)] if explanation.evidence else []
    rows += [("next", explanation.ahead)] if explanation.ahead else []
    rows += [
        ("held", symbol(HELD, f"{hold.id}, since {moment(hold.since)}, with {counted(len(hold.pairs), 'pair')}"))
        for hold in explanation.held
    ]
    rows += [
        ("pending", pending.status + (f" since {pending.since.replace('+00:00', 'Z')}" if pending.since else ""))
        for pending in explanation.pending
    ]
    rows.append(("change", explanation.change))
    style = "bold green" if explanation.answer == "YES" else "bold yellow" if explanation.has else "bold red"
    return [Text(explanation.answer, style=style), *columns((Text(key, style=QUIET), text) for key, text in rows)]


def who_has_lines(decision: ImageDecision, grants: Iterable[Grant], ledger: Ledger, names: Names) -> list[Text]:
    """Everybody who can use one image, by channel."""
    image = decision.image
    head = line(Text(image.id, style=STRONG), f" {names.image(image.id)}".rstrip(), f", {names.place(image.shard)}")
    everybody = " and everybody else: it is a community image" if image.public else ""
    lines = [head, Text(f"{counted(len(decision.has()), 'account')} can use it{everybody}")]
    times = {grant.account: grant.shared_time for grant in grants}
    entries = ledger.entries(image.id)
    rows: dict[str, list[list[Cell]]] = {"direct": [], "directory": []}
    for account in sorted(decision.has()):
        for channel in channels(decision, account):
            by = "by orgshare" if account in decision.ours else "by somebody else"
            rules = ", ".join(sorted(entries[account].rules)) if account in decision.ours else ""
            since = f"since {times[account]}" if times.get(account) else ""
            said = [by, since, rules and f"rule {rules}"] if channel == "direct" else ["resource share"]
            rows[channel].append([account, names.account(account), *said])
    for channel, found in rows.items():
        if found:
            lines += [heading(f"  {channel}"), *columns(found, indent=4)]
    return lines


def who_can_lines(account: str, decisions: Iterable[ImageDecision], names: Names) -> list[Text]:
    """Every image that one account can use, by channel."""
    having = [decision for decision in decisions if account in decision.has()]
    lines = [line(names.named_account(account), f" can use {counted(len(having), 'image')}")]
    for channel in ("direct", "directory"):
        rows: list[list[Cell]] = [
            [d.image.id, names.image(d.image.id), f"{d.image.shard.service} {d.image.shard.region}",
             f"owner {d.image.shard.owner}"]
            for d in having if channel in channels(d, account)
        ]  # fmt: skip
        if rows:
            lines += [heading(f"  {channel}"), *columns(rows, indent=4)]
    return lines


def holds_lines(
    document: Document, approvals: Iterable[Approval], names: Names, *, now: datetime, detail: bool
) -> list[Text]:
    """The holds of the state; ``detail`` shows every account of every image."""
    if not document["held"]:
        return [Text("nothing is held")]
    lines: list[Text] = []
    for hold in document["held"]:
        most_images, most_accounts = (None, None) if detail else (MOST, 0)
        lines += hold_lines(hold, names, most_images=most_images, most_accounts=most_accounts)
        if hold["expires"]:
            text = f"    approved: the next apply revokes what it still wants to revoke, until {hold['expires']}"
        else:
            text = (
                f"    they keep access until a person decides; «orgshare approve {hold['id']}» releases exactly these"
            )
        lines.append(Text(text, style=QUIET))
    lines += [
        Text(
            f"approved by {approval.who} at {moment(approval.at)} until {moment(expires(approval))}: "
            f"{counted(len(approval.pairs), 'pair')}" + (f" ({approval.reason})" if approval.reason else "")
        )
        for approval in approvals
        if approval.stands(now)
    ]
    return lines


def _spaced(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _sign(wants: bool) -> str:
    return "wants it" if wants else "does not want it"
