"""How the story looks: the organization as a tree and who can use what as a table once, then only differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from orgshare_demo.reference import Pair
from orgshare_demo.stage import Access

WIDTH = 118


def console() -> Console:
    """A console for a person; without a terminal it is plain text of a fixed width."""
    made = Console(highlight=False)
    if not made.is_terminal:
        made = Console(highlight=False, width=WIDTH)
    return made


class Names:
    """Names beside ids, as the world gives them, or gave them ``earlier`` to who is gone."""

    def __init__(self, world: Mapping[str, Any], policy: Mapping[str, Any], earlier: Names | None = None) -> None:
        self.accounts: dict[str, str] = dict(earlier.accounts) if earlier else {}
        self.accounts.update({account: row["name"] for account, row in world["directory"]["members"].items()})
        for rule in policy["rules"]:
            for partner in rule["audience"].get("partners", ()):
                self.accounts.setdefault(partner["account"], partner["name"])
        self.images: dict[str, str] = dict(earlier.images) if earlier else {}
        self.images.update({image: row["name"] for image, row in world["images"].items()})

    def account(self, account: str) -> str:
        """An account's name, or its id."""
        return str(self.accounts.get(account, account))

    def together(self, accounts: Iterable[str]) -> str:
        """The names of several accounts."""
        return ", ".join(sorted(self.account(account) for account in accounts))

    def image(self, image: str) -> str:
        """An image's name, or its id."""
        return str(self.images.get(image, image))


def organization(world: Mapping[str, Any]) -> Tree:
    """The organization: folders with the accounts in them."""
    directory = world["directory"]
    tree = Tree(Text(f"organization {directory['id']}", style="bold"), guide_style="dim")
    inside: dict[str, list[str]] = defaultdict(list)
    for account, row in directory["members"].items():
        inside[row["folder"]].append(f"{row['name']} [dim]{account}[/dim]")

    def grow(branch: Tree, folder: str) -> None:
        for text in sorted(inside[folder]):
            branch.add(text)
        for child, row in sorted(directory["folders"].items()):
            if row["parent"] == folder:
                grow(branch.add(f"[cyan]{row['name']}/[/cyan] [dim]{child}[/dim]"), child)

    grow(tree, "root")
    return tree


def everybody(world: Mapping[str, Any], access: Access, names: Names, refused: Mapping[str, str]) -> Table:
    """Every image with everybody who can use it by each channel, and why one cannot be shared."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("image", "region", "channel", "who can use it"):
        table.add_column(head, overflow="fold")
    users = _users(access, {pair: by(access, pair) for pair in access})
    for image, row in sorted(world["images"].items(), key=lambda item: (item[1]["region"], item[1]["name"])):
        lines = [(how, Text(names.together(accounts))) for how, accounts in sorted(users.get(image, {}).items())]
        if image in refused:
            lines.append(("", Text(f"! {refused[image]}", style="magenta")))
        for number, (how, who) in enumerate(lines or [("", Text("nobody", style="dim"))]):
            table.add_row(*(("", "") if number else (row["name"], row["region"])), how, who)
    return table


def by(access: Access, pair: Pair) -> str:
    """The channels of a pair in words."""
    return " and ".join(sorted(access[pair]))


def differences(before: Access, after: Access, names: Names) -> Iterable[Text]:
    """Who gained and who lost what, and whose channel changed: a line for each set that the same happened to."""
    gained, lost = after.keys() - before.keys(), before.keys() - after.keys()
    changed = {pair for pair in before.keys() & after.keys() if before[pair] != after[pair]}
    how = {pair: by(after, pair) for pair in gained} | {pair: by(before, pair) for pair in lost}
    how |= {pair: f"{by(after, pair)}; before: {by(before, pair)}" for pair in changed}
    for sign, style, verb, pairs in (
        ("+", "green", "can use", gained),
        ("-", "red", "can no longer use", lost),
        ("=", "yellow", "can still use", changed),
    ):
        alike: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
        for image, channels in sorted(_users(pairs, how).items()):
            for channel, accounts in sorted(channels.items()):
                alike[tuple(sorted(accounts)), channel].append(names.image(image))
        for (accounts_alike, channel), images in alike.items():
            who = names.together(accounts_alike)
            yield Text(f"{sign} {who} {verb} {', '.join(images)} ({channel})", style=style)


def _users(pairs: Iterable[Pair], how: Mapping[Pair, str]) -> Mapping[str, Mapping[str, set[str]]]:
    """By image and by how the pair stands: the accounts."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for image, account in pairs:
        found[image][how[image, account]].add(account)
    return found
