"""What of a run's report a person has to know, and the message that tells it: at night, without the handbook.

Each matter says what it is, where, and what to do about it, with the command. The same is there once more as JSON, on
the last line. What can go wrong is a message that is too long to be sent, or to be read: so it names the first and
counts the rest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from orgshare.decide.plan import Finding, Hold
from orgshare.errors import OrgshareError, TryAgain
from orgshare.notices import Matter, Notice
from orgshare.report.documents import About
from orgshare.report.times import moment
from orgshare.way.applying import Applied
from orgshare.words import Shard, counted

SHARDS = "shards"
"""The scope of what no shard's own run finds: that the policy names them all."""


RUN = "run"
"""The scope of what every run finds that comes to its end, whatever it looks at."""

PASSES_BY_ITSELF = timedelta(hours=1)
"""How long what mostly passes by itself has to stand: two looks in a row that are not the retries of one."""

PASSING_REASONS = frozenset({"not-available", "association-failed"})
"""Refusals that end with what causes them: an image that is being made, an association that is tried again."""

FINDINGS: Mapping[str, str] = {
    "cannot-revoke": "look at why the cloud refuses; «orgshare explain IMAGE ACCOUNT» says what is known; it is tried "
    "again by every run",
    "orphaned": "«orgshare retire --shard SHARD» ends what is shared there, «orgshare release SHARD» forgets it, or "
    "name its owner and region under owners again",
}

MOST_BYTES = 60_000
"""Of a message, text and JSON together; a topic of Simple Message Queue takes 65,536."""

MOST_NAMED = 40
MOST_LETTERS = 600
"""Of each part of a matter."""


class Sent(Struct, frozen=True, kw_only=True):
    """What a message says of the run that it is from."""

    about: About
    run: str
    at: datetime


def matters_of(applied: Applied) -> tuple[Matter, ...]:
    """Everything in a run's report that a person should know, in no order."""
    shards = {d.image.id: str(d.image.shard) for d in applied.planned.decisions.images}
    observing = applied.planned.facts.policy.mode == "observe"
    found = [
        *_held(applied.plan.held, observing=observing),
        *_refused(applied, shards),
        *matters_of_findings(applied.plan.findings, shards),
        *_unread(applied),
        *_failed(applied),
    ]
    return tuple({matter.key: matter for matter in found}.values())


def matter_of_error(error: OrgshareError) -> Matter:
    """A run that came to nothing."""
    return Matter(
        key=f"run:{type(error).__name__}",
        kind="failed",
        where="the whole run",
        what=str(error),
        do="«orgshare doctor» says what is missing and how to mend it; nothing is done until then",
        scope=RUN,
        patience=PASSES_BY_ITSELF,
    )


def matter_of_workers(unplaced: Mapping[Shard, OrgshareError]) -> Matter:
    """No worker could be invoked for these shards. What trying again may mend has to stand for a while.

    It is over with any run of a worker that comes to its end.
    """
    errors = [error for _, error in sorted(unplaced.items())]
    lasting = [error for error in errors if not isinstance(error, TryAgain)]
    why = (*lasting, *errors)[0]
    return Matter(
        key="workers",
        kind="no-worker",
        where=", ".join(map(str, sorted(unplaced))),
        what=f"no worker could be invoked for {counted(len(unplaced), 'shard')}, so nothing is done there: {why}",
        do="see to it that the function of ORGSHARE_WORKER is there and may be invoked; what is asked for waits",
        scope=RUN,
        patience=timedelta() if lasting else PASSES_BY_ITSELF,
    )


def message(notices: Sequence[Notice], sent: Sent) -> str:
    """The message that tells these matters, those that are new first."""
    named = min(len(notices), MOST_NAMED)
    while True:
        text = _message(notices[:named], notices[named:], sent)
        if len(text.encode()) <= MOST_BYTES or named == 1:
            return text
        named = named * 2 // 3


def _message(named: Sequence[Notice], rest: Sequence[Notice], sent: Sent) -> str:
    of = sent.about
    every = (*named, *rest)
    new = sum(notice.new for notice in every)
    stand = f"{new} new" if new == len(every) else f"{new} new, {len(every) - new} told before"
    lines = [
        f"orgshare {of.deployment}: {counted(len(every), 'matter')} for a person: {stand}",
        f"organization {of.directory}, mode {of.mode}, run {sent.run}, {moment(sent.at)}",
        "",
    ]
    for number, notice in enumerate(named, 1):
        matter = notice.matter
        since = "new" if notice.new else f"since {moment(notice.since)}"
        lines += [
            f"{number}. {matter.kind.upper()} ({since}): {_short(matter.what)}",
            f"   where: {_short(matter.where)}",
            f"   what to do: {_short(matter.do)}",
        ]
    if rest:
        kinds = Counter(notice.matter.kind for notice in rest)
        counts = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        lines.append(f"and {len(rest)} more: {counts}; «orgshare status» shows all of them")
    document = {
        "schema": 1,
        "deployment": of.deployment,
        "mode": of.mode,
        "directory": of.directory,
        "run": sent.run,
        "at": moment(sent.at),
        "matters": [_row(notice) for notice in named],
        "more": len(rest),
    }
    return "\n".join([*lines, "", msgspec.json.encode(document).decode()])


def _row(notice: Notice) -> dict[str, object]:
    matter = notice.matter
    texts = {"where": matter.where, "what": matter.what, "do": matter.do}
    row = {"kind": matter.kind, "key": matter.key, "new": notice.new, "since": moment(notice.since)}
    return row | {key: _short(text) for key, text in texts.items()}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_LETTERS else f"{line[:MOST_LETTERS]}…"


def _held(holds: Iterable[Hold], *, observing: bool) -> Iterator[Matter]:
    """Holds, those of one cause and one beginning together: a run that sees only a part of one gives it another id.

    In mode observe none is written down, so each run begins it anew and only its id stays.
    """
    groups: dict[str, list[Hold]] = defaultdict(list)
    for hold in holds:
        groups[hold.id if observing else f"{moment(hold.since)}:{hold.cause}:{hold.gains}"].append(hold)
    for key, group in groups.items():
        pairs = sum(len(hold.pairs) for hold in group)
        images = sorted({pair.image for hold in group for pair in hold.pairs})
        ids = " ".join(hold.id for hold in group)
        becomes = "gained" if group[0].gains else "lost"
        does = (
            "nothing happens in mode observe; «orgshare plan --detail» shows who is meant"
            if observing
            else f"nothing happens until you decide: «orgshare holds {group[0].id}» shows who is meant, «orgshare "
            f"approve ID» lets it happen, «orgshare reject ID» leaves it as it is; the ids: {ids}"
        )
        yield Matter(
            key=f"held:{key}",
            kind="held",
            where=_images(images),
            what=f"{counted(pairs, 'pair')} of image and account would be {becomes}: {group[0].why}",
            do=does,
        )


def _refused(applied: Applied, shards: Mapping[str, str]) -> Iterator[Matter]:
    for refusal in applied.plan.refused:
        first = ", ".join(refusal.accounts[:3])
        more = f"{first} and {refusal.accounts_total - 3} more" if refusal.accounts_total > 3 else first
        yield Matter(
            key=f"refused:{refusal.image}:{refusal.reason}",
            kind="refused",
            where=f"{refusal.image} in {shards.get(refusal.image, 'no shard that is known')}",
            what=f"{refusal.reason}: {counted(refusal.accounts_total, 'account')} do not get it ({more})",
            do=refusal.remedy,
            scope=shards.get(refusal.image, ""),
            patience=PASSES_BY_ITSELF if refusal.reason in PASSING_REASONS else timedelta(),
        )


def matters_of_findings(findings: Iterable[Finding], shards: Mapping[str, str]) -> Iterator[Matter]:
    """The findings that a person should know; ``shards`` are those of the images."""
    for finding in findings:
        if finding.kind in FINDINGS:
            place = f"{finding.image} {finding.account}".strip()
            where = f"{place} in {shards[finding.image]}" if finding.image in shards else place or "the state"
            yield Matter(
                key=f"{finding.kind}:{place or finding.why}",
                kind=finding.kind,
                where=where,
                what=finding.why,
                do=FINDINGS[finding.kind],
                scope=SHARDS if finding.kind == "orphaned" else shards.get(finding.image, ""),
            )


def _unread(applied: Applied) -> Iterator[Matter]:
    gaps: dict[tuple[str, str], list[str]] = defaultdict(list)
    for gap in applied.plan.incomplete:
        gaps[gap.where, gap.name].append(gap.why)
    for (where, name), whys in gaps.items():
        yield Matter(
            key=f"unread:{where}:{name}",
            kind="unread",
            where=f"{where} {name}",
            what=f"{whys[0]}" + (f" (and {len(whys) - 1} more)" if len(whys) > 1 else ""),
            do="«orgshare doctor» says whether a permission is missing; until it can be read, nothing is revoked there",
            scope=name if where == "shard" else _scope_of_rules(applied),
            patience=PASSES_BY_ITSELF,
        )


def _scope_of_rules(applied: Applied) -> str:
    """Who finds anew what keeps a rule from being followed. Every run resolves all rules, but a listing that left out
    an account is seen to be wrong only where that account is asked for."""
    if not applied.planned.facts.proof.contradicted:
        return RUN
    shards = applied.planned.looked.services.keys()
    return str(min(shards)) if len(shards) == 1 else ""


def _failed(applied: Applied) -> Iterator[Matter]:
    for failure in applied.failed:
        change = failure.change
        what = (
            ", ".join(change.images)
            if change.action in ("grant", "revoke", "copy")
            else change.share or change.audience
        )
        if change.action in ("trust", "distrust"):
            what = "the sharing role"
        yield Matter(
            key=f"failed:{change.action}:{change.shard}:{what}",
            kind="failed",
            where=f"{change.action} of {what or 'a new share'} in {change.shard}",
            what=failure.remedy,
            do="every run tries it again; if it stays, ask the vendor with the request id "
            f"{failure.request_id or '(none was given)'}",
            scope=str(change.shard),
        )


def _images(images: Sequence[str]) -> str:
    first = ", ".join(images[:3])
    return f"{first} and {len(images) - 3} more" if len(images) > 3 else first
