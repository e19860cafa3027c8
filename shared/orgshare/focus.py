"""What a run looks at: everything, or a selection made by a signal or by a person.

A focus only narrows what is looked at; what is found there is decided as in a sweep, and the limits of the guard stay
those of the whole deployment. What can go wrong is a focus that hides a loss: so it selects images, never pairs, and
every account of an image that is looked at counts.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from orgshare.signals.model import Signal
from orgshare.words import Shard


class Selection(Struct, frozen=True):
    """Images that satisfy every field that is not empty; within a field any value will do.

    ``accounts`` selects the images on which such an account's access is not as the rules want it; with ``changed`` the
    accounts are those that changed in the organization since the shard last saw it. ``part`` (n of m) selects about so
    many of the images, by their ids, for shards that are too large for one look.
    """

    owners: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    changed: bool = False
    part: tuple[int, int] | None = None

    def is_whole(self) -> bool:
        """Whether all images of the shards that it takes are selected."""
        narrower = self.images or self.rules or self.accounts or self.changed or self.part is not None
        return not narrower

    def takes_shard(self, shard: Shard) -> bool:
        """Whether images of this shard can be selected."""
        return (not self.owners or shard.owner in self.owners) and (not self.regions or shard.region in self.regions)


class Focus(Struct, frozen=True):
    """Whatever any of its selections takes.

    ``begins`` is whether the rest of a shard that is looked at in parts is sure to be looked at afterwards.
    """

    selections: tuple[Selection, ...]
    begins: bool = False

    def takes_shard(self, shard: Shard) -> bool:
        """Whether anything of this shard is looked at."""
        return any(selection.takes_shard(shard) for selection in self.selections)

    def of_shard(self, shard: Shard) -> tuple[Selection, ...]:
        """The selections that concern a shard."""
        return tuple(selection for selection in self.selections if selection.takes_shard(shard))

    def takes_whole(self, shard: Shard) -> bool:
        """Whether a shard is looked at whole."""
        return any(selection.is_whole() for selection in self.of_shard(shard))

    def within(self, shard: Shard) -> Focus:
        """Of what is looked at, what lies in one shard."""
        place = {"owners": frozenset({shard.owner}), "regions": frozenset({shard.region})}
        return Focus(tuple(dict.fromkeys(replace(selection, **place) for selection in self.of_shard(shard))))

    def is_sweep(self) -> bool:
        """Whether everything is looked at."""
        return Selection() in self.selections


EVERYTHING = Focus((Selection(),))


def focus_of(signal: Signal) -> Focus:
    """What a signal asks to look at. The account of an image need not be its owner's name here: regions narrow too."""
    if signal.everything:
        return EVERYTHING
    selections = [
        Selection(
            images=frozenset({image.id}),
            regions=frozenset({image.region}) if image.region else frozenset(),
            owners=frozenset({image.owner}) if image.owner else frozenset(),
        )
        for image in sorted(signal.images, key=lambda image: (image.id, image.region or "", image.owner or ""))
    ]
    selections += [
        Selection(owners=frozenset({shard.owner}), regions=frozenset({shard.region})) for shard in sorted(signal.shards)
    ]
    selections += [
        Selection(
            owners=frozenset({part.shard.owner}), regions=frozenset({part.shard.region}), part=(part.number, part.of)
        )
        for part in sorted(signal.parts)
    ]
    if signal.accounts:
        selections.append(Selection(accounts=signal.accounts))
    if signal.organization:
        selections.append(Selection(changed=True))
    return Focus(tuple(selections))
