"""Plans and runs as text, rendered from their documents: what is printed for people is what programs read.

A plan is told sharing role by sharing role, region by region that images are copied to, and resource share by resource
share: what joins it (``+``) and what leaves it (``-``). Then image by image: who gains it, who loses it, who is refused
and why (``!``). What is held (``~``), under way, found or unread follows, and the last line counts. Long lists end with
how many more there are.

What can go wrong is a thousand images that hide the one line that matters: so whatever repeats is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from orgshare.report.documents import Document
from orgshare.report.lines import (
    GAINED,
    HELD,
    LOST,
    QUIET,
    REFUSED,
    STRONG,
    STYLES,
    Cell,
    columns,
    counted,
    line,
    some,
    symbol,
)
from orgshare.report.names import Names

MOST = 8
"""So many accounts of a group, and so many rows of a section, before the rest is counted."""

_SIGNS: Mapping[str, str] = {
    "trust": GAINED, "grant": GAINED, "revoke": LOST, "associate": GAINED, "disassociate": LOST, "distrust": LOST,
    "copy": GAINED,
}  # fmt: skip

_DIRECT = ("grant", "revoke")
_OF_ROLES = ("trust", "distrust")
_COPY = "copy"


def plan_lines(plan: Document, names: Names, *, detail: bool = False) -> list[Text]:
    """A plan. ``detail`` shows every account, image and target."""
    most = None if detail else MOST
    blocks = [*_change_blocks(plan["changes"], plan["refused"], names, most), *_sections(plan, names, most)]
    return [*_spaced(blocks), *([Text()] if blocks else []), _plan_summary(plan)]


def outcome_lines(applied: Document, names: Names, *, shown: Document | None = None) -> list[Text]:
    """What a run did. Rows that the plan shown before had already are not repeated."""
    before = shown or {}
    fresh = {
        key: [row for row in applied[key] if row not in before.get(key, ())]
        for key in ("held", "refused", "findings", "pending", "incomplete")
    }
    blocks = [
        *_change_blocks((), fresh["refused"], names, MOST),
        *([_failed(applied["failed"], names)] if applied["failed"] else []),
        *_sections(fresh, names, MOST),
    ]
    return [*_spaced(blocks), *([Text()] if blocks else []), *_outcome_summary(applied)]


def report_lines(applied: Document, names: Names) -> list[Text]:
    """A run of which no plan was shown before: what was done, what was not, and the counts."""
    blocks = [
        *_change_blocks(applied["done"], applied["refused"], names, MOST),
        *([_failed(applied["failed"], names)] if applied["failed"] else []),
        *_sections(applied, names, MOST),
    ]
    return [*_spaced(blocks), *([Text()] if blocks else []), *_outcome_summary(applied)]


def is_gain(hold: Document) -> bool:
    """Whether a hold is of pairs that would be gained."""
    return any(change["action"] == "grant" for change in hold["changes"])


def _held_pairs(hold: Document) -> int:
    gained: int = sum(change["gained"] for change in hold["changes"])
    return gained + int(hold["lost_pairs"])


def hold_lines(hold: Document, names: Names, *, most_images: int | None, most_accounts: int | None) -> list[Text]:
    """One hold: how much, since when, why, and who would lose or gain what."""
    changes = sorted(hold["changes"], key=lambda change: change["images"])
    images = {image for change in changes for image in change["images"]}
    head = line(
        symbol(HELD, hold["id"]),
        f"  {counted(_held_pairs(hold), 'pair')} of {counted(len(images), 'image')}, since {_time(hold['since'])}: ",
        hold["why"],
    )
    chosen, _ = some(changes, most_images)
    more = len(images) - len({change["images"][0] for change in chosen})
    lines = [head]
    if most_accounts == 0:
        rows: list[list[Cell]] = []
        for change in chosen:
            number = counted(len(change["accounts"]), "account")
            rows.append([symbol(HELD), *_image(change["images"][0], names), number, _by(change)])
        lines += columns(rows, indent=4)
    else:
        for change in chosen:
            lines.append(line("    ", _image_line(change["images"][0], names, change)))
            lines += _account_rows(HELD, change["accounts"], _by(change), names, most_accounts, indent=6)
    if more:
        lines.append(line("    ", symbol(HELD), f" and {counted(more, 'more image')}"))
    return lines


def section_lines(report: Mapping[str, Any], names: Names) -> list[list[Text]]:
    """What is held, under way, found and unread in any report, a block each."""
    return _sections(report, names, MOST)


def heading(text: str) -> Text:
    """The title of a section."""
    return Text(text, style=STRONG)


def _spaced(blocks: Sequence[Sequence[Text]]) -> list[Text]:
    """Blocks with an empty line between them."""
    return [each for index, block in enumerate(blocks) for each in ((Text(), *block) if index else block)]


def _by(change: Document) -> str:
    """By what a held change would take the image, where that is no direct grant."""
    return "by a resource share" if change["action"] == "disassociate" else ""


def _change_blocks(
    changes: Iterable[Document], refused: Iterable[Document], names: Names, most: int | None
) -> list[list[Text]]:
    """The blocks of resource shares, then those of images, then what is refused to many images alike."""
    changes, refused = list(changes), list(refused)
    touched = {change["images"][0] for change in changes if change["action"] in _DIRECT}
    alike: dict[tuple[str, str, int], list[Document]] = {}
    for refusal in refused:
        if refusal["image"] not in touched and most is not None:
            key = refusal["reason"], refusal["remedy"], refusal["accounts_total"]
            alike.setdefault(key, []).append(refusal)
    many = [group for group in alike.values() if most is not None and len(group) > most + 1]
    grouped = {id(refusal) for group in many for refusal in group}
    return [
        *_role_blocks([change for change in changes if change["action"] in _OF_ROLES], names, most),
        *_copy_blocks([change for change in changes if change["action"] == _COPY], names, most),
        *_share_blocks([c for c in changes if c["action"] not in (*_DIRECT, *_OF_ROLES, _COPY)], names, most),
        *_image_blocks(
            [change for change in changes if change["action"] in _DIRECT],
            [refusal for refusal in refused if id(refusal) not in grouped],
            names,
            most,
        ),
        *(_refused_alike(group, names, most) for group in many),
    ]


def _role_blocks(changes: Iterable[Document], names: Names, most: int | None) -> list[list[Text]]:
    """One block an owner's sharing role: whose ECS it lets in, and whose not any more."""
    by_owner: dict[str, list[Document]] = {}
    for change in changes:
        by_owner.setdefault(change["owner"], []).append(change)
    blocks = []
    for owner, found in sorted(by_owner.items()):
        head = line(Text("sharing role", style=STRONG), Text(f", owner {names.named_account(owner)}", style=QUIET))
        rows = [row for change in found for row in _rows(_SIGNS[change["action"]], change["accounts"],
                len(change["accounts"]), change["why"], names, most)]  # fmt: skip
        blocks.append([head, *columns(rows, indent=2)])
    return blocks


def _copy_blocks(changes: Iterable[Document], names: Names, most: int | None) -> list[list[Text]]:
    """One block a region that images are copied to; a copy that was made has an id."""
    by_place: dict[tuple[str, str], list[Document]] = {}
    for change in changes:
        by_place.setdefault((change["owner"], change["region"]), []).append(change)
    blocks = []
    for (owner, region), found in sorted(by_place.items()):
        of = Text(f", owner {names.named_account(owner)}", style=QUIET)
        chosen, more = some(sorted(found, key=lambda change: change["images"]), most)
        rows: list[list[Cell]] = [
            [symbol(_SIGNS[_COPY]), *_image(change["images"][0], names),
             f"is {change['targets'][0]} there" if change["targets"] else "", ", ".join(change["rules"])]
            for change in chosen
        ]  # fmt: skip
        rest = [line("  ", symbol(_SIGNS[_COPY]), f" and {counted(more, 'more copy', 'more copies')}")] if more else []
        blocks.append([line(Text(f"copies to {region}", style=STRONG), of), *columns(rows, indent=2), *rest])
    return blocks


def _share_blocks(changes: Iterable[Document], names: Names, most: int | None) -> list[list[Text]]:
    """One block a resource share: what joins it, what leaves it. One that has yet to be made has no id."""
    by_share: dict[tuple[str, ...], list[Document]] = {}
    made: set[tuple[str, ...]] = set()
    number = 0
    for change in changes:
        place = (change["service"], change["owner"], change["region"], change["share"])
        if change["action"] == "create-share":
            made.add(place)
            continue
        number += not change["share"]
        by_share.setdefault((*place, "" if change["share"] else str(number)), []).append(change)
    for service, owner, region, share in made - {key[:4] for key in by_share}:
        by_share[service, owner, region, share, ""] = []
    return [_share_block(key, found, names, most, is_new=key[:4] in made) for key, found in sorted(by_share.items())]


def _share_block(
    key: tuple[str, ...], changes: Sequence[Document], names: Names, most: int | None, *, is_new: bool
) -> list[Text]:
    _, owner, region, share, _ = key
    title = f"{'new ' if is_new else ''}resource share{f' {share}' if share else ''}"
    rows: list[list[Cell]] = []
    counts: list[Text] = []
    for change in changes:
        sign, why = _SIGNS[change["action"]], change["why"]
        for kind in ("image", "target"):
            chosen, more = some(change[f"{kind}s"], most)
            for entity in chosen:
                name = names.image(entity) if kind == "image" else names.target(entity)
                rows.append([Text(f"{sign} {entity}", style=STYLES[sign]), kind, name, why])
                why = ""
            if more:
                rows.append([Text(f"{sign} and {counted(more, f'more {kind}')}", style=STYLES[sign])])
        pairs = change["gained"] or change["lost"]
        if pairs:
            told = f"{counted(pairs, 'pair')} {'gained' if sign == GAINED else 'lost'}"
            counts.append(line("  ", symbol(sign, told)))
    head = line(Text(title, style=STRONG), Text(f", {names.place('ecs', region, owner)}", style=QUIET))
    return [head, *columns(rows, indent=2), *counts]


def _refused_alike(refusals: Sequence[Document], names: Names, most: int | None) -> list[Text]:
    """What is refused to many images for one reason is said once."""
    chosen, more = some(refusals, most)
    lines = [_image_line(refusal["image"], names) for refusal in chosen]
    number = counted(refusals[0]["accounts_total"], "account")
    why = f"{refusals[0]['reason']}: {refusals[0]['remedy']}"
    return [
        *lines,
        Text(f"and {counted(more, 'more image')}", style=STRONG),
        line("  ", symbol(REFUSED, f"{number} each"), f"  {why}"),
    ]


def _image_blocks(
    changes: Iterable[Document], refused: Iterable[Document], names: Names, most: int | None
) -> list[list[Text]]:
    """One block an image: its changes, then its refusals.

    Who is refused an image is mostly everybody, for a reason that is the image's own: so they are counted, and named
    only where everybody is asked for.
    """
    blocks: dict[str, list[Text]] = {}
    counts: dict[str, list[Text]] = {}
    heads: dict[str, Text] = {}
    groups: dict[str, list[tuple[str, Sequence[str], int, str]]] = {}
    for change in changes:
        image = change["images"][0]
        heads[image] = _image_line(image, names, change)
        groups.setdefault(image, []).append(
            (_SIGNS.get(change["action"], GAINED), change["accounts"], len(change["accounts"]), change["why"])
        )
    for refusal in refused:
        image = refusal["image"]
        why = f"{refusal['reason']}: {refusal['remedy']}"
        if most is None:
            groups.setdefault(image, []).append((REFUSED, refusal["accounts"], refusal["accounts_total"], why))
        else:
            number = counted(refusal["accounts_total"], "account")
            counts.setdefault(image, []).append(line("  ", symbol(REFUSED, number), f"  {why}"))
    for image in sorted(groups.keys() | counts.keys()):
        rows = [row for sign, accounts, total, why in groups.get(image, ())
                for row in _rows(sign, accounts, total, why, names, most)]  # fmt: skip
        head = heads.get(image) or (_image_line(image, names) if image else heading("resource shares"))
        blocks[image] = [head, *columns(rows, indent=2), *counts.get(image, ())]
    return list(blocks.values())


def _rows(sign: str, accounts: Sequence[str], total: int, why: str, names: Names, most: int | None) -> list[list[Cell]]:
    """A row an account; the first carries the reason, the last how many more there are."""
    chosen, _ = some(accounts, most)
    rows: list[list[Cell]] = [
        [Text(f"{sign} {account}", style=STYLES[sign]), names.account(account), "" if index else why]
        for index, account in enumerate(chosen)
    ]
    if total > len(chosen):
        rows.append([Text(f"{sign} and {total - len(chosen)} more", style=STYLES[sign])])
    return rows


def _account_rows(
    sign: str, accounts: Sequence[str], why: str, names: Names, most: int | None, *, indent: int
) -> list[Text]:
    return columns(_rows(sign, accounts, len(accounts), why, names, most), indent=indent)


def _image_line(image: str, names: Names, change: Document | None = None) -> Text:
    """An image with its name and place, as the change says it or else as it was read."""
    row = names.images.get(image)
    place = names.place_of(row) if row is not None else ""
    if change is not None and change["region"]:
        place = names.place(change["service"], change["region"], change["owner"])
    return line(*_joined(_image(image, names)), Text(f", {place}" if place else "", style=QUIET))


def _image(image: str, names: Names) -> tuple[Text, str]:
    return Text(image, style=STRONG), names.image(image)


def _joined(parts: Iterable[Cell]) -> list[Cell]:
    joined: list[Cell] = []
    for part in parts:
        if str(part):
            joined += [" ", part] if joined else [part]
    return joined


def _sections(report: Mapping[str, Any], names: Names, most: int | None) -> list[list[Text]]:
    """What does not belong to one image's changes: held, pending, findings, unread."""
    sections = []
    holds = report.get("held", ())
    losing, gaining = [h for h in holds if not is_gain(h)], [h for h in holds if is_gain(h)]
    if losing:
        sections.append(_held("held: they keep access until a person decides", losing, names, most))
    if gaining:
        sections.append(_held("held: they have no access until a person decides", gaining, names, most))
    if report.get("pending"):
        sections.append([heading("under way"), *_pending(report["pending"], names, most)])
    if report.get("findings"):
        sections.append([heading("findings"), *_findings(report["findings"], names, most)])
    if report.get("incomplete"):
        rows = [[row.get("shard") or f"rule {row.get('rule')}", row["why"]] for row in report["incomplete"]]
        sections.append([heading("incomplete: nothing was concluded here"), *_limited(rows, most)])
    return sections


def _held(title: str, holds: Sequence[Document], names: Names, most: int | None) -> list[Text]:
    lines = [heading(title)]
    for hold in holds:
        lines += [
            line("  ", each)
            for each in hold_lines(hold, names, most_images=most, most_accounts=None if most is None else 0)
        ]
        text = f"    «orgshare holds {hold['id']}» shows who, «orgshare approve {hold['id']}» releases exactly these"
        lines.append(Text(text, style=QUIET))
    return lines


def _pending(pending: Sequence[Document], names: Names, most: int | None) -> list[Text]:
    """What is under way, so much of each share and status; what a status says of one entity comes after a colon."""
    rows: list[list[str]] = []
    alike: dict[tuple[str, str], list[Document]] = {}
    for row in pending:
        alike.setdefault((row["share"], row["status"].partition(":")[0]), []).append(row)
    for (share, _), found in alike.items():
        chosen, more = some(found, most)
        for row in chosen:
            entity = "the share itself" if row["entity"] == share else names.named(row["entity"])
            rows.append([share, entity, row["status"], _since(row["since"])])
        if more:
            rows.append([share, f"and {more} more"])
    return columns(rows, indent=2)


def _findings(findings: Sequence[Document], names: Names, most: int | None) -> list[Text]:
    """Findings, so many of each kind."""
    rows: list[list[str]] = []
    kinds: dict[str, list[Document]] = {}
    for finding in findings:
        kinds.setdefault(finding["kind"], []).append(finding)
    for kind, found in kinds.items():
        chosen, more = some(found, most)
        rows += [[kind, row["image"], row["account"], names.account(row["account"]), row["why"]] for row in chosen]
        if more:
            rows.append([kind, f"and {more} more"])
    return columns(rows, indent=2)


def _failed(failures: Sequence[Document], names: Names) -> list[Text]:
    lines = [heading("failed")]
    for failure in failures:
        request = f" (request {failure['request_id']})" if failure["request_id"] else ""
        code = f"{failure['code']}{request}: " if failure["code"] else ""
        lines.append(line("  ", *_failing(failure, names), f": {code}{failure['remedy']}"))
    return lines


def _failing(failure: Document, names: Names) -> list[Cell]:
    """What a failed change was about."""
    if failure["action"] in _DIRECT:
        what = f": {failure['action']} for {counted(len(failure['accounts']), 'account')}"
        return [*_joined(_image(failure["images"][0], names)), what]
    if failure["action"] in _OF_ROLES:
        what = f": {failure['action']} for {counted(len(failure['accounts']), 'account')}"
        return [Text("sharing role", style=STRONG), f" of {failure['owner']}", what]
    share = f"resource share {failure['share']}" if failure["share"] else "new resource share"
    parts = [counted(len(failure[f"{kind}s"]), kind) for kind in ("image", "target") if failure[f"{kind}s"]]
    what = f": {failure['action']}{' for ' if parts else ''}{' and '.join(parts)}"
    return [Text(share, style=STRONG), what]


def _limited(rows: Sequence[Sequence[str]], most: int | None) -> list[Text]:
    chosen, more = some(rows, most)
    lines = columns(chosen, indent=2)
    return [*lines, Text(f"  and {more} more")] if more else lines


def _plan_summary(plan: Document) -> Text:
    """The last line of a plan."""
    summary, changes = plan["summary"], plan["changes"]
    held = sum(map(_held_pairs, plan["held"]))
    refused = sum(refusal["accounts_total"] for refusal in plan["refused"])
    aside: list[Cell] = [
        *([symbol(HELD, f"{counted(held, 'pair')} held")] if held else []),
        *([symbol(REFUSED, f"{counted(refused, 'pair')} refused")] if refused else []),
        *([f"{len(plan['pending'])} under way"] if plan["pending"] else []),
        *([f"{len(plan['incomplete'])} incomplete"] if plan["incomplete"] else []),
    ]
    images, wanted, now = counted(summary["images"], "image"), summary["wanted"], summary["in_step"]
    if not changes and not aside and now == wanted:
        return line(f"in step: {images}, {counted(wanted, 'pair')}, nothing to do")
    if not changes:
        return line(*_listed([f"nothing to do: {images}, {now} of {counted(wanted, 'pair')} in step", *aside]))
    touched = _touched(changes)
    observing = "to do, if the mode were not observe" if plan["mode"] == "observe" else "to do"
    parts: list[Cell] = [
        line(f"{observing}: {counted(len(changes), 'change')} of {touched}"),
        *([symbol(GAINED, f"{counted(summary['gained'], 'pair')} gained")] if summary["gained"] else []),
        *([symbol(LOST, f"{counted(summary['lost'], 'pair')} lost")] if summary["lost"] else []),
        *aside,
        f"{now} of {counted(wanted, 'pair')} in step now",
    ]
    return line(*_listed(parts))


def _touched(changes: Sequence[Document]) -> str:
    """How many images and resource shares some changes touch."""
    images = {image for change in changes for image in change["images"] if change["action"] not in _OF_ROLES}
    roles = {change["owner"] for change in changes if change["action"] in _OF_ROLES}
    new = sum(change["action"] == "create-share" for change in changes)
    shares = {change["share"] for change in changes if change["share"]}
    parts = [counted(len(images), "image")] if images else []
    parts += [counted(len(shares) + new, "resource share")] if shares or new else []
    parts += [counted(len(roles), "sharing role")] if roles else []
    return " and ".join(parts)


def _outcome_summary(applied: Document) -> list[Text]:
    """The last lines of a run."""
    done, due, failed = applied["done"], applied["changes"], applied["failed"]
    gained, lost = (sum(change[key] for change in done) for key in ("gained", "lost"))
    if applied["mode"] == "observe":
        first = line("mode observe: nothing was changed, apply is plan")
    elif due:
        parts: list[Cell] = [
            f"done: {len(done)} of {counted(len(due), 'change')}",
            *([symbol(GAINED, f"{counted(gained, 'pair')} gained")] if gained else []),
            *([symbol(LOST, f"{counted(lost, 'pair')} lost")] if lost else []),
            *([f"{len(failed)} failed"] if failed else []),
        ]
        first = line(*_listed(parts))
    else:
        first = line("done: nothing was to be changed")
    calls = sum(applied["calls"].values())
    each = ", ".join(f"{number} {operation}" for operation, number in applied["calls"].items())
    return [first, Text(f"{counted(calls, 'call')}: {each}", style=QUIET)] if calls else [first]


def _listed(parts: Iterable[Cell]) -> list[Cell]:
    listed: list[Cell] = []
    for part in parts:
        listed += [", ", part] if listed else [part]
    return listed


def _time(text: str) -> str:
    """A time of a document as people read it."""
    return text.replace("T", " ").removesuffix(":00Z").removesuffix("Z") + " UTC" if text else ""


def _since(text: str) -> str:
    return f"since {_time(text)}" if text else ""
