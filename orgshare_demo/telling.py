"""How the story looks: the organization as a tree and who can use what as a table once, then only differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from orgshare_demo.stage import Pair

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
        self.images = {image: row["name"] for image, row in world["images"].items()}

    def account(self, account: str) -> str:
        """An account's name, or its id."""
        return str(self.accounts.get(account, account))

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


def everybody(world: Mapping[str, Any], access: set[Pair], names: Names, refused: Mapping[str, str]) -> Table:
    """Every image with everybody who can use it, and why one cannot be shared."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("image", "region", "who can use it"):
        table.add_column(head, overflow="fold")
    users = _by_image(access)
    for image, row in sorted(world["images"].items(), key=lambda item: (item[1]["region"], item[1]["name"])):
        who = Text(", ".join(sorted(names.account(account) for account in users.get(image, ()))))
        if image in refused:
            who.append(("; " if who else "") + f"! {refused[image]}", style="magenta")
        table.add_row(row["name"], row["region"], who or Text("nobody", style="dim"))
    return table


def differences(before: set[Pair], after: set[Pair], names: Names) -> Iterable[Text]:
    """Who gained and who lost what: a line for each set of accounts that the same happened to."""
    for sign, style, pairs in (("+", "green", after - before), ("-", "red", before - after)):
        alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for image, accounts in sorted(_by_image(pairs).items()):
            alike[tuple(sorted(accounts))].append(names.image(image))
        for together, images in alike.items():
            who = ", ".join(sorted(names.account(account) for account in together))
            verb = "can use" if sign == "+" else "can no longer use"
            yield Text(f"{sign} {who} {verb} {', '.join(images)}", style=style)


def _by_image(pairs: Iterable[Pair]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for image, account in pairs:
        found[image].add(account)
    return found
