"""Answers as text: status, explain, who and holds.

The first line of ``explain`` is the answer alone, so that a person and ``head -1`` read the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.text import Text

from orgshare.decide.decisions import ImageDecision
from orgshare.decide.plan import Pending
from orgshare.guard import Approval
from orgshare.report.channels import Way, Ways, target_named
from orgshare.report.documents import Document, expires
from orgshare.report.explaining import Explanation
from orgshare.report.lines import HELD, QUIET, REFUSED, STRONG, STYLES, Cell, columns, counted, line, symbol
from orgshare.report.names import Names
from orgshare.report.overview import Counts, Overview, Row
from orgshare.report.plan_text import MOST, heading, hold_lines, is_gain, section_lines
from orgshare.report.times import moment, written
from orgshare.way.planning import Planned
from orgshare.words import Image

MOST_IMAGES = 40
"""Images that status lists one by one; of more, those with nothing to see are counted."""

_HEADS = ("wanted", "in step", "by directory", "directly", "due", "pending", "refused", "held", "unread")


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
            str(counts.by_directory),
            str(counts.directly),
            str(counts.due),
            str(counts.pending),
            Text(str(counts.refused), style=STYLES[REFUSED] if counts.refused else ""),
            Text(str(counts.held), style=STYLES[HELD] if counts.held else ""),
            str(counts.unread),
        ]
        body.append([row.name, *numbers, notes.get(row.name, "")])
    return columns(body, right=frozenset(range(1, len(heads))))


def _status_summary(whole: Counts) -> Text:
    ways = ((whole.by_directory, "by directory"), (whole.directly, "directly"))
    told = ", ".join(f"{number} {word}" for number, word in ways if number)
    in_step = f"{whole.in_step} of {counted(whole.wanted, 'pair')} in step"
    parts = [counted(whole.images, "image"), f"{in_step} ({told})" if told else in_step]
    parts += [f"{number} {word}" for word, number in (
        ("due", whole.due), ("pending", whole.pending), ("refused", whole.refused), ("held", whole.held),
    ) if number]  # fmt: skip
    parts += [f"{counted(whole.unread, 'image')} unread"] if whole.unread else []
    return Text(", ".join(parts))


def explain_lines(explanation: Explanation, names: Names) -> list[Text]:
    """The answer, then everything that it rests on."""
    image, account = explanation.image, explanation.account
    rows: list[tuple[str, Cell]] = [
        ("image", _spaced(image.id, names.image(image.id), f"({names.place_of(image)})")),
        ("account", names.named_account(account)),
    ]
    if image.origin is not None:
        so = "and shared like it" if image.origin.now is not None else "which is not there any more"
        rows.append(("copy", f"of {image.origin.id} in {image.origin.region}, {so}"))
    rows += [("rule", f"{place.where()}: {_sign(place.wants)}, {place.why}") for place in explanation.places]
    if not explanation.places:
        rows.append(("rule", explanation.no_rule))
    rows.append(("channel", " and ".join(explanation.channels) or "none"))
    rows += [("evidence", found) for found in explanation.found]
    rows += [("next", explanation.ahead)] if explanation.ahead else []
    rows += [
        ("held", symbol(HELD, f"{hold.id}, since {moment(hold.since)}, with {counted(len(hold.pairs), 'pair')}"))
        for hold in explanation.held
    ]
    rows += [("pending", _pending(pending, explanation)) for pending in explanation.pending]
    rows += [("risk", risk) for risk in explanation.risks]
    rows.append(("change", explanation.change))
    style = "bold green" if explanation.answer == "YES" else "bold yellow" if explanation.has else "bold red"
    return [Text(explanation.answer, style=style), *columns((Text(key, style=QUIET), text) for key, text in rows)]


def who_has_lines(planned: Planned, decision: ImageDecision, names: Names) -> list[Text]:
    """Everybody who can use one image, by channel; an account that has both is listed under both."""
    image = decision.image
    head = line(Text(image.id, style=STRONG), f" {names.image(image.id)}".rstrip(), f", {names.place_of(image)}")
    everybody = " and everybody else: it is a community image" if image.public else ""
    lines = [head, Text(f"{counted(len(decision.has()), 'account')} can use it{everybody}")]
    direct = columns(_granted(planned, decision, names), indent=4)
    lines += [heading("  direct"), *direct] if direct else []
    all_ways = Ways(planned)
    ways = all_ways.of(image)
    reached = {way: way.reached.possible - {image.shard.owner} for way in ways}
    standing = [way for way in ways if way.stands and reached[way]]
    lines += [heading("  directory")] if standing else []
    for way in standing:
        then = f", since {way.since()}" if way.since() else ""
        lines.append(Text(f"    {_way(way, planned)}{then}"))
        rows = (
            [account, names.account(account), _unsure(all_ways.doubts(way, account))]
            for account in sorted(reached[way])
        )
        lines += columns(rows, indent=6)
    coming = [[_way(way, planned), "; ".join(way.under_way()), counted(len(reached[way]), "account")]
              for way in ways if not way.stands and reached[way]]  # fmt: skip
    return [*lines, heading("  under way"), *columns(coming, indent=4)] if coming else lines


def _granted(planned: Planned, decision: ImageDecision, names: Names) -> Iterable[list[Cell]]:
    """Who has the image by a direct grant, who made it, and since when."""
    image = decision.image
    readings = (reading for reading in planned.facts.readings if reading.image.id == image.id)
    times = {grant.account: grant.shared_time for reading in readings for grant in reading.grants or ()}
    entries = planned.facts.ledgers[image.shard].entries(image.id)
    for account in sorted(decision.direct):
        ours = account in decision.ours
        rules = ", ".join(sorted(entries[account].rules)) if ours else ""
        since = f"since {times[account]}" if times.get(account) else ""
        by = "by orgshare" if ours else "by somebody else"
        yield [account, names.account(account), by, since, rules and f"rule {rules}"]


def who_can_lines(planned: Planned, account: str, names: Names) -> list[Text]:
    """Every image that one account can use, by channel; an image that it has both ways is listed under both."""
    having = [decision for decision in planned.decisions.images if account in decision.has()]
    lines = [line(names.named_account(account), f" can use {counted(len(having), 'image')}")]
    direct = [_placed(d.image, names) for d in having if account in d.direct]
    if direct:
        lines += [heading("  direct"), *columns(direct, indent=4)]
    ways = Ways(planned)
    through: dict[str, dict[str, Image]] = {}
    unsure: dict[str, dict[str, str]] = {}
    for decision in having:
        for way in ways.to(decision.image, account):
            if way.stands:
                key = _way(way, planned, account)
                through.setdefault(key, {})[decision.image.id] = decision.image
                unsure.setdefault(key, {})[decision.image.id] = _unsure(ways.doubts(way, account))
    lines += [heading("  directory")] if through else []
    for key, images in through.items():
        rows = [[*_placed(image, names), unsure[key][image.id]] for image in images.values()]
        lines += [Text(f"    {key}"), *columns(rows, indent=6)]
    return lines


def _placed(image: Image, names: Names) -> list[Cell]:
    shard = image.shard
    return [image.id, names.image(image.id), f"{shard.service} {image.region}", f"owner {shard.owner}"]


def _way(way: Way, planned: Planned, account: str = "") -> str:
    """A resource share, whose it is, and what it reaches somebody through."""
    through = target_named(way.target.entity, planned.facts.organization, account)
    return f"resource share {way.name}, {way.by}, through {through}"


def _unsure(doubts: tuple[str, ...]) -> str:
    return f"not sure: {'; '.join(doubts)}" if doubts else ""


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
        does = "grants what it still wants to grant" if is_gain(hold) else "revokes what it still wants to revoke"
        if hold["expires"]:
            text = f"approved: the next apply {does}, until {hold['expires']}"
        else:
            meanwhile = "they have no access" if is_gain(hold) else "they keep access"
            text = (
                f"{meanwhile} until a person decides; «orgshare approve {hold['id']}» releases exactly these, "
                f"«orgshare reject {hold['id']}» drops them until the facts change"
            )
        lines.append(Text(f"    {text}", style=QUIET))
    lines += [
        Text(
            f"approved by {approval.who} at {moment(approval.at)} until {moment(expires(approval))}: "
            f"{counted(len(approval.pairs), 'pair')}{' to be gained' if approval.gains else ''}"
            + (f" ({approval.reason})" if approval.reason else "")
        )
        for approval in approvals
        if approval.stands(now)
    ]
    return lines


def _pending(pending: Pending, explanation: Explanation) -> str:
    """What is under way, and of what, where that is not the pair itself."""
    of_pair = pending.entity == f"{explanation.image.id}/{explanation.account}"
    place = f"{pending.entity} in {pending.share or 'a new resource share'}: "
    since = f" since {written(pending.since)}" if pending.since else ""
    return f"{'' if of_pair else place}{pending.status}{since}"


def _spaced(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _sign(wants: bool) -> str:
    return "wants it" if wants else "does not want it"
