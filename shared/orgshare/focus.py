"""What a run looks at: everything, or a selection made by a signal or by a person.

A focus only narrows what is looked at; what is found there is decided as in a sweep, and the limits of the guard stay
those of the whole deployment. What can go wrong is a focus that hides a loss: so it selects images, never pairs, and
every account of an image that is looked at counts.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from orgshare.signals.model import Signal
from orgshare.words import EVERY_REGION, Shard


class Selection(Struct, frozen=True):
    """Images that satisfy every field that is not empty; within a field any value will do. An image that is named by
    its id stands for the copies that we made of it, too.

    ``accounts`` selects the images on which such an account's access is not as the rules want it; with ``changed`` the
    accounts are those that changed in the organization since the shard last saw it. ``part`` (n of m) selects about so
    many of the images, by their ids, for shards that are too large for one look.
    """

    services: frozenset[str] = frozenset()
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
        return (
            (not self.services or shard.service in self.services)
            and (not self.owners or shard.owner in self.owners)
            and (not self.regions or shard.region in self.regions or shard.region == EVERY_REGION)
        )

    def takes_whole(self, shard: Shard) -> bool:
        """Whether all images of this shard are selected: a region of several is not all of them."""
        whole = not self.regions or shard.region in self.regions
        return whole and self.is_whole() and self.takes_shard(shard)

    def takes_region(self, region: str) -> bool:
        """Whether images in this region can be selected."""
        return not self.regions or region in self.regions or EVERY_REGION in self.regions


def all_of(shard: Shard) -> Selection:
    """All images of a shard, and of no other."""
    return Selection(
        services=frozenset({shard.service}), owners=frozenset({shard.owner}), regions=frozenset({shard.region})
    )


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
        return any(selection.takes_whole(shard) for selection in self.selections)

    def within(self, shard: Shard) -> Focus:
        """Of what is looked at, what lies in one shard."""
        place = {"services": frozenset({shard.service}), "owners": frozenset({shard.owner})}
        found = []
        for selection in self.of_shard(shard):
            inside = shard.region == EVERY_REGION and selection.regions
            regions = selection.regions if inside else frozenset({shard.region})
            found.append(replace(selection, **place, regions=regions))
        return Focus(tuple(dict.fromkeys(found)))

    def is_sweep(self) -> bool:
        """Whether everything is looked at."""
        return Selection() in self.selections


EVERYTHING = Focus((Selection(),))


def focus_of(signal: Signal) -> Focus:
    """What a signal asks to look at. The account of an image need not be its owner's name here: regions narrow too.

    Events tell of images of ECS only.
    """
    if signal.everything:
        return EVERYTHING
    selections = [
        Selection(
            services=frozenset({"ecs"}),
            images=frozenset({image.id}),
            regions=frozenset({image.region}) if image.region else frozenset(),
            owners=frozenset({image.owner}) if image.owner else frozenset(),
        )
        for image in sorted(signal.images, key=lambda image: (image.id, image.region or "", image.owner or ""))
    ]
    selections += [all_of(shard) for shard in sorted(signal.shards)]
    selections += [replace(all_of(part.shard), part=(part.number, part.of)) for part in sorted(signal.parts)]
    if signal.accounts:
        selections.append(Selection(accounts=signal.accounts))
    if signal.organization:
        selections.append(Selection(changed=True))
    return Focus(tuple(selections))
