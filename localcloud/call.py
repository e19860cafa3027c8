"""What an operation is and what it is given: the seam between the gateway and the services."""

from __future__ import annotations

import random as random_module
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.errors import ApiError
from localcloud.params import Params
from localcloud.world import Delays, Quotas, Switches

if TYPE_CHECKING:
    from localcloud.ecd.models import EcdModel
    from localcloud.ecs.models import EcsModel
    from localcloud.events.models import EventModel
    from localcloud.fc.models import FunctionModel
    from localcloud.images import ImageStore
    from localcloud.mns.models import MessageModel
    from localcloud.oss.models import StorageModel
    from localcloud.ram.models import RamModel
    from localcloud.resourcemanager.models import DirectoryModel
    from localcloud.resourcesharing.models import SharingModel
    from localcloud.sts.models import IdentityModel, Principal


@dataclass(slots=True)
class Settings:
    """What of a world is no resource: read at each call, replaced as a whole by a change from outside."""

    quotas: Quotas
    delays: Delays
    switches: Switches
    regions: tuple[str, ...]
    sites: dict[str, str]


@dataclass(frozen=True, slots=True)
class Models:
    """The state of all services."""

    ecs: EcsModel
    ecd: EcdModel
    directory: DirectoryModel
    sharing: SharingModel
    identity: IdentityModel
    ram: RamModel
    storage: StorageModel
    messages: MessageModel
    functions: FunctionModel
    events: EventModel
    settings: Settings
    random: random_module.Random

    @property
    def stores(self) -> tuple[ImageStore, ...]:
        """The images of every service; no image is in two."""
        return (self.ecs, self.ecd)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that passed the gateway."""

    params: Params
    principal: Principal
    region: str
    now: float
    models: Models
    fault: str = ""
    """The kind of the fault that strikes this call, for those that decide what becomes of what the call began."""

    @property
    def account(self) -> str:
        """The account that the caller acts in."""
        return self.principal.account

    @property
    def settings(self) -> Settings:
        """Quotas, delays and switches."""
        return self.models.settings


@dataclass(frozen=True, slots=True)
class Operation:
    """An API operation: its handler returns the answer's fields without RequestId, or raises ApiError.

    `rows` is the key of the rows of a list that is paged by token and says no total.
    """

    product: str
    name: str
    handler: Callable[[Call], dict[str, Any]]
    writes: bool = False
    regional: bool = False
    missing_region: ApiError | None = None
    rows: str = ""

    @property
    def full_name(self) -> str:
        """`ecs:DescribeImages`, as flow control, faults and the request log write it."""
        return f"{self.product}:{self.name}"


def new_id(
    random: random_module.Random, length: int, alphabet: str = f"{string.ascii_lowercase}{string.digits}"
) -> str:
    """A random identifier from the cloud's own random source."""
    return "".join(random.choices(alphabet, k=length))
