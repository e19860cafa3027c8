"""What ``doctor`` checks: whether everything is there that runs need, piece by piece, and how to mend what is not.

Reading is tried by reading. What would change something is not tried: that ``DryRun`` of ModifyImageSharePermission
does what its name says is documented nowhere, and the calls of Resource Sharing have nothing of the kind
(https://help.aliyun.com/en/ecs/developer-reference/api-ecs-2014-05-26-modifyimagesharepermission). So these are listed
with the role that needs them, as not tried; so is a worker, which would run. The state alone is tried by writing: one
object is put and deleted again.

What can go wrong is one fault told ten times, so that nobody finds it. What cannot be tried because something before it
failed is one line that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import TypeVar

from msgspec import Struct

from orgshare.errors import (
    ConfigurationError,
    CredentialsRefused,
    NoAnswer,
    NobodyAnswers,
    NotPermitted,
    OrgshareError,
    Refused,
    VendorError,
)
from orgshare.policy.model import Owner, Policy
from orgshare.ports import Cloud, Directory, Notices, ObjectStore
from orgshare.record.state import check_directory, open_state
from orgshare.trust import SHARING_ROLE, read_trust, with_accounts
from orgshare.way.look import authorizes
from orgshare.words import Shard, counted

Answer = TypeVar("Answer")

NOT_PERMITTED = ("Forbidden", "Forbbiden", "NoPermission", "AccessDenied", "Unauthorized")
"""Beginnings of the codes for what no policy allows: https://help.aliyun.com/document_detail/60629.html for ECS, and
https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole for RAM and STS."""

NO_SUCH_ROLE = "EntityNotExist.Role"

SHARING_WRITES = ("CreateResourceShare", "AssociateResourceShare", "DisassociateResourceShare")


class Check(Struct, frozen=True, kw_only=True):
    """One thing that was looked at. ``remedy`` is empty if it is in order."""

    check: str
    ok: bool
    why: str
    remedy: str = ""


class Who(Struct, frozen=True):
    """Whose rights a call needs: ``name`` is a role or principal, in an ``account``."""

    name: str
    account: str


def check_deployment(
    policy: Policy,
    cloud: Cloud,
    store: ObjectStore,
    executor: Executor,
    *,
    state_in_cloud: bool,
    notices: Notices | None,
    worker: str | None,
    check_versioning: Callable[[ObjectStore], None],
    try_puts: Callable[[ObjectStore], None],
) -> tuple[Check, ...]:
    """Check credentials, organization, owners, sharing, state, notices and the worker, which is a function's name.

    ``check_versioning`` reads, ``try_puts`` puts an object and deletes it again. Raises ``NobodyAnswers`` if the first
    call gets no answer.
    """
    sheet = Sheet()
    caller = _caller(sheet, cloud)
    directory = ""
    if caller is None:
        sheet.not_tried("directory, owners and sharing", "credentials")
    else:
        directory = _directory(sheet, policy, cloud, caller)
        sharing = [each for owner in policy.owners for each in _owner(sheet, policy, cloud, owner, caller, executor)]
        _sharing(sheet, policy, sharing)
    if caller is None and state_in_cloud:
        sheet.not_tried("state", "credentials")
    else:
        who = caller or Who("this program", "no account")
        _state(
            sheet,
            policy,
            store,
            directory,
            who,
            in_cloud=state_in_cloud,
            check_versioning=check_versioning,
            try_puts=try_puts,
        )
    if notices is not None and caller is not None:
        _notices(sheet, notices, caller)
    if worker is not None and caller is not None:
        _worker(sheet, worker, caller)
    return tuple(sheet.checks)


class Sheet:
    """Checks as they are made."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def fine(self, check: str, why: str) -> None:
        """It is in order, and what shows it."""
        self.checks.append(Check(check=check, ok=True, why=why))

    def failed(self, check: str, why: str, remedy: str) -> None:
        """It is not in order."""
        self.checks.append(Check(check=check, ok=False, why=why, remedy=remedy))

    def not_tried(self, check: str, because: str) -> None:
        """It could not be tried because something before it failed."""
        self.failed(check, f"not tried, because this failed: {because}", "mend that first")

    def attempt(
        self,
        check: str,
        ask: Callable[[], Answer],
        who: Who,
        *,
        told: Callable[[Answer], str] = lambda _: "answered",
        action: str = "",
    ) -> Answer | None:
        """What a call answers, or nothing if it failed. The action is the last word of the check unless it is given."""
        try:
            answer = ask()
        except ConfigurationError as error:
            self.failed(check, error.what, error.remedy or "mend what it names, or correct the policy")
        except (VendorError, CredentialsRefused) as error:
            self.failed(check, _why(error), mend(error, action or check.rpartition(" ")[2], who))
        else:
            self.fine(check, told(answer))
            return answer
        return None

    def assume(self, check: str, role: str | None, key: str, caller: Who, ask: Callable[[], object]) -> bool:
        """Whether a role can be assumed: ``ask`` does it. Without a role there is nothing to check."""
        try:
            ask()
        except (VendorError, CredentialsRefused) as error:
            if role is not None and str(error).startswith("sts:AssumeRole"):
                self.failed(check, _why(error), _mend_role(error, role, key, caller))
                return False
        if role is not None:
            self.fine(check, f"{caller.name} may assume {role}")
        return True


# --- credentials and the organization


def _caller(sheet: Sheet, cloud: Cloud) -> Who | None:
    """Whose credentials these are, if the cloud accepts them."""
    try:
        caller = Who(cloud.caller(), cloud.account())
    except (VendorError, CredentialsRefused) as error:
        if isinstance(error, NoAnswer) and not error.code:
            raise NobodyAnswers(f"{error}; check the network, and ORGSHARE_LOCAL_CLOUD") from error
        sheet.failed("credentials", str(error), _mend_credentials(error))
        return None
    sheet.fine("credentials", f"they are those of {caller.name}")
    return caller


def _directory(sheet: Sheet, policy: Policy, cloud: Cloud, caller: Who) -> str:
    """Check how the organization is read; its id, empty if it could not be read."""
    of = policy.directory
    who = Who(of.role, of.account) if of.role else caller
    if not sheet.assume("directory: role", of.role, "directory.role", caller, cloud.directory):
        sheet.not_tried("directory: reading it", "directory: role")
        return ""
    reader = cloud.directory()
    name = "directory: resourcemanager:GetResourceDirectory"
    identity = sheet.attempt(name, reader.identity, who, told=lambda found: f"the organization is {found.id}")
    if identity is None:
        sheet.not_tried("directory: reading it", name)
        return ""
    if identity.management == of.account:
        sheet.fine("directory: account", f"{of.account} is its management account")
    else:
        why = f"directory.account is {of.account}, but the management account of {identity.id} is {identity.management}"
        sheet.failed("directory: account", why, "correct directory.account or directory.role in the policy")
    asked = policy.owners[0].account if policy.owners else of.account
    for action, ask in (
        ("ListAccounts", lambda: (reader.members(1),)),
        ("GetAccount", lambda: (reader.member(asked),)),
        ("GetFolder", lambda: (reader.folder(identity.root),)),
        ("ListFoldersForParent", lambda: (reader.subfolders(identity.root, 1),)),
    ):
        sheet.attempt(f"directory: resourcemanager:{action}", ask, who)
    for owner in policy.owners:
        _membership(sheet, policy, reader, owner.account, identity.management)
    return identity.id


def _membership(sheet: Sheet, policy: Policy, reader: Directory, owner: str, management: str) -> None:
    """Check whether an owner is in the organization, which only resource shares need."""
    name = f"owner {owner}: member"
    try:
        inside = owner == management or reader.member(owner) is not None
    except VendorError as error:
        sheet.fine(name, f"not known: {error}")
        return
    why = "it is not in the organization, so no resource share can reach the organization from it"
    if inside:
        sheet.fine(name, "it is in the organization")
    elif _all_direct(policy):
        sheet.fine(name, f"{why}; every rule has channel: direct, so none has to")
    else:
        sheet.failed(name, why, "invite the account into the organization, or set channel: direct for its images")


# --- owners


def _owner(
    sheet: Sheet, policy: Policy, cloud: Cloud, owner: Owner, caller: Who, executor: Executor
) -> tuple[bool, ...]:
    """Check an owner; what its regions answer about sharing."""
    name = f"owner {owner.account}"
    who = Who(owner.role, owner.account) if owner.role else caller
    if owner.role is None and owner.account != caller.account:
        why = f"the policy names no role of it, and the credentials are of account {caller.account}"
        remedy = f"name a role in account {owner.account} that trusts account {caller.account}, as role under owners"
        sheet.failed(f"{name}: role", why, remedy)
        sheet.not_tried(f"{name}: images", f"{name}: role")
        return ()

    def assume() -> object:
        named = owner.regions
        return cloud.images(Shard("ecs", owner.account, named[0])) if named else cloud.regions(owner.account)

    if not sheet.assume(f"{name}: role", owner.role, "role under owners", caller, assume):
        sheet.not_tried(f"{name}: images", f"{name}: role")
        return ()
    regions = _regions(sheet, cloud, owner, who)
    shards = [Shard("ecs", owner.account, region) for region in regions]
    answers: list[bool] = []
    for checks, answer in executor.map(lambda shard: _shard(cloud, shard, who), shards):
        sheet.checks += checks
        answers += answer
    desktops = _desktops(sheet, cloud, owner, who, executor) if policy.desktops(owner.account) else False
    if regions:
        _writes(sheet, policy, name, who, desktops=desktops)
    if authorizes(policy, owner.account):
        _sharing_role(sheet, cloud, owner, who)
    return tuple(answers)


def _desktops(sheet: Sheet, cloud: Cloud, owner: Owner, who: Who, executor: Executor) -> bool:
    """Check an owner's Elastic Desktop Service in each region that has it; whether there is one."""
    name = f"owner {owner.account} in Elastic Desktop Service:"
    regions = sheet.attempt(
        f"{name} ecd:DescribeRegions", lambda: cloud.desktop_regions(owner.account), who, told=", ".join
    )
    if regions is None:
        sheet.not_tried(f"{name} ecd:DescribeImages", f"{name} ecd:DescribeRegions")
    elif not regions:
        why = "none of its regions has the service, and a rule speaks of images there"
        sheet.failed(f"{name} regions", why, f"name a region that has it under owners of {owner.account}")
    for checks in executor.map(lambda region: _desktops_in(cloud, owner.account, region, who), regions or ()):
        sheet.checks += checks
    return bool(regions)


def _desktops_in(cloud: Cloud, owner: str, region: str, who: Who) -> list[Check]:
    """Check one region of an owner's Elastic Desktop Service."""
    sheet, name = Sheet(), f"owner {owner} in Elastic Desktop Service, {region}:"
    images = cloud.desktop_images(owner)
    page = sheet.attempt(
        f"{name} ecd:DescribeImages",
        lambda: images.images_in(region, ""),
        who,
        told=lambda found: f"{counted(len(found.rows), 'image')} on the first page",
    )
    permission = f"{name} ecd:DescribeImagePermission"
    if page is None:
        sheet.not_tried(permission, f"{name} ecd:DescribeImages")
        return sheet.checks
    try:
        for image in page.rows:
            try:
                images.grants(image.id, 1)
            except Refused:
                continue  # it was received: only its owner may ask
            sheet.fine(permission, "works")
            break
        else:
            sheet.fine(permission, f"not tried, because there is no own image yet: {who.name} needs it")
    except (VendorError, CredentialsRefused):
        sheet.attempt(permission, lambda: images.grants(image.id, 1), who)
    return sheet.checks


def _sharing_role(sheet: Sheet, cloud: Cloud, owner: Owner, who: Who) -> None:
    """Check the role that lets accounts use the owner's keys: that it is there, and how much of its document is left.

    What the role itself may do is not asked: that would take a permission that nothing else needs.
    """
    check = f"owner {owner.account}: ram:GetRole"
    role = cloud.role(owner.account)
    document = sheet.attempt(check, lambda: (role.trust_policy(),), who, told=lambda _: "answered")
    if document is None:
        return
    name = f"owner {owner.account}: sharing role"
    if document[0] is None:
        why = f"a rule says encrypted: authorize, and there is no role {SHARING_ROLE}"
        sheet.failed(name, why, f"create it in account {owner.account}, with a policy that lets it use the keys")
        return
    try:
        trust = read_trust(document[0])
    except ValueError as error:
        sheet.failed(name, f"its trust policy cannot be understood: {error}", "mend the trust policy by hand")
        return
    length = len(with_accounts(document[0], ()))
    told = f"it lets in {counted(len(trust.accounts), 'account')}, {length} of {owner.trust_policy_length} characters"
    sheet.fine(name, f"{told}; not tried, as it would change something: {who.name} needs ram:UpdateRole")


def _regions(sheet: Sheet, cloud: Cloud, owner: Owner, who: Who) -> tuple[str, ...]:
    """Check that an owner has its regions; those that can be looked at. Only ``all`` needs the list of them."""
    check, action = f"owner {owner.account}: regions", "ecs:DescribeRegions"
    if owner.regions is None:
        return sheet.attempt(check, lambda: cloud.regions(owner.account), who, told=", ".join, action=action) or ()
    try:
        there = cloud.regions(owner.account)
    except (VendorError, CredentialsRefused) as error:
        sheet.fine(check, f"{', '.join(owner.regions)}, not compared with those that there are: {error}")
        return owner.regions
    unknown = [region for region in owner.regions if region not in there]
    if unknown:
        why = f"{', '.join(unknown)}: the account has no such region"
        sheet.failed(check, why, f"correct regions of {owner.account} under owners: there are {', '.join(there)}")
    else:
        sheet.fine(check, ", ".join(owner.regions))
    return tuple(region for region in owner.regions if region in there)


def _shard(cloud: Cloud, shard: Shard, who: Who) -> tuple[list[Check], list[bool]]:
    """Check one region of an owner, and what it answers about sharing."""
    sheet, name = Sheet(), f"owner {shard.owner} in {shard.region}:"
    images, shares = cloud.ecs_images(shard), cloud.shares(shard)
    page = sheet.attempt(
        f"{name} ecs:DescribeImages", lambda: images.images(1), who, told=lambda found: counted(found.total, "image")
    )
    permission = f"{name} ecs:DescribeImageSharePermission"
    if page is None:
        sheet.not_tried(permission, f"{name} ecs:DescribeImages")
    elif page.rows:
        sheet.attempt(permission, lambda: images.grants(page.rows[0].id, 1), who)
    else:
        sheet.fine(permission, f"not tried, because there is no image yet: {who.name} needs it")
    if page is not None:
        snapshots = [snapshot for row in page.rows[:1] for snapshot in row.snapshots]
        sheet.attempt(f"{name} ecs:DescribeSnapshots", lambda: images.encrypted(snapshots), who)
    status = f"{name} resourcesharing:CheckSharingWithResourceDirectoryStatus"
    enabled = sheet.attempt(status, shares.enabled, who)
    sheet.attempt(f"{name} resourcesharing:ListResourceShares", lambda: shares.shares(""), who)
    sheet.attempt(f"{name} resourcesharing:ListResourceShareAssociations", lambda: shares.rows("Target", ""), who)
    return sheet.checks, [] if enabled is None else [enabled]


def _writes(sheet: Sheet, policy: Policy, name: str, who: Who, *, desktops: bool) -> None:
    """Name what cannot be tried without changing something."""
    direct = ("ecs:ModifyImageSharePermission", *(("ecd:ModifyImagePermission",) if desktops else ()))
    sharing = () if _all_direct(policy) else tuple(f"resourcesharing:{action}" for action in SHARING_WRITES)
    needs = f"{who.name} in account {who.account} needs {', '.join((*direct, *sharing))}"
    why = "mode observe writes nothing; in any other" if policy.mode == "observe" else "it would change something:"
    sheet.fine(f"{name}: writing", f"not tried, {why} {needs}")


def _sharing(sheet: Sheet, policy: Policy, answers: Iterable[bool]) -> None:
    """Check whether resource shares may reach the organization, if any rule wants that."""
    known = list(answers)
    why = "sharing within the organization is not enabled"
    if _all_direct(policy):
        sheet.fine("sharing", "every rule has channel: direct, so resource shares are not needed")
    elif not known:
        sheet.not_tried("sharing", "resourcesharing:CheckSharingWithResourceDirectoryStatus of every owner")
    elif all(known):
        sheet.fine("sharing", "sharing within the organization is enabled")
    else:
        remedy = (
            f"enable it as management account {policy.directory.account} "
            "(resourcesharing:EnableSharingWithResourceDirectory, or Settings in the console of Resource Sharing), "
            "or set channel: direct"
        )
        sheet.failed("sharing", why, remedy)


def _all_direct(policy: Policy) -> bool:
    return not any(rule.by_directory for rule in policy.rules)


# --- the state


def _state(
    sheet: Sheet,
    policy: Policy,
    store: ObjectStore,
    directory: str,
    who: Who,
    *,
    in_cloud: bool,
    check_versioning: Callable[[ObjectStore], None],
    try_puts: Callable[[ObjectStore], None],
) -> None:
    """Check whose the state is, and whether puts never overwrite where it lies. ``directory`` may be empty.

    Nothing is written where the state is not begun: a folder would be made by it, and «orgshare init» tries it, too.
    """

    def begun() -> str:
        state = open_state(store, policy.deployment)
        if directory:
            check_directory(state, directory)
        paused = [state.paused(), *(f"{shard} is paused" for shard in state.paused_shards())]
        told = "".join(f"; {one}, until «orgshare resume»" for one in paused if one)
        return f"{store}: of deployment {policy.deployment}{told}"

    def tried() -> str:
        try_puts(store)
        store.folders("")
        return "one object was put, was not overwritten, was read and deleted again; nothing is left of it"

    opened = sheet.attempt("state: begun", begun, who, told=str, action="oss:GetObject and oss:ListObjects")
    sound = not in_cloud or _has_no_versioning(sheet, store, who, check_versioning)
    name = "state: put, get, list and delete"
    if opened is None or not sound:
        sheet.not_tried(name, "state: begun" if opened is None else "state: versioning")
    else:
        sheet.attempt(name, tried, who, told=str, action="oss:PutObject, oss:GetObject and oss:DeleteObject")


def _has_no_versioning(sheet: Sheet, store: ObjectStore, who: Who, check: Callable[[ObjectStore], None]) -> bool:
    def checked() -> bool:
        check(store)
        return True

    action = "oss:GetBucketVersioning"
    return bool(sheet.attempt("state: versioning", checked, who, told=lambda _: "the bucket has none", action=action))


# --- where a person is told


def _notices(sheet: Sheet, notices: Notices, caller: Who) -> None:
    """Check that the place is there. That it may be told something is not tried: a person would be told."""
    needs = f"{caller.name} needs mns:PublishMessage on {notices}"
    if notices.account() != caller.account:
        why = f"{notices} is of account {notices.account()}, and the credentials are of account {caller.account}"
        sheet.failed("notices", why, f"name a topic of account {caller.account} in ORGSHARE_NOTICES")
        return
    try:
        notices.check()
    except (Refused, NotPermitted) as error:
        if _lacks_permission(error):
            sheet.fine("notices", f"not tried, because nothing may be asked about it ({error.code}): {needs}")
        else:
            sheet.failed("notices", str(error), f"create the topic {notices}, or correct ORGSHARE_NOTICES")
    except (VendorError, CredentialsRefused) as error:
        sheet.failed("notices", str(error), mend(error, "mns:GetTopicAttributes", caller))
    else:
        sheet.fine("notices", f"{notices} is there; nothing was published: {needs}")


# --- who does the work of single shards


def _worker(sheet: Sheet, worker: str, caller: Who) -> None:
    """Name what invoking it takes, on what the templates grant it.

    Whether it is there could be asked (GetFunction), but with a permission that no run needs, and in a region that only
    a function knows: a worker is invoked where the function that invokes it runs.
    """
    service, _, function = worker.rpartition("/")
    place = f"services/{service}/functions/{function}" if service else f"functions/{function}"
    needs = (
        f"{caller.name} needs fc:InvokeFunction on acs:fc:*:{caller.account}:{place}, in the region of the functions"
    )
    sheet.fine("worker", f"not tried, because it would run: {needs}")


# --- mending


def _why(error: OrgshareError) -> str:
    """What went wrong; how to mend it stands beside it."""
    return error.what if isinstance(error, NotPermitted) else str(error)


def _lacks_permission(error: OrgshareError) -> bool:
    refused = isinstance(error, Refused) and error.code.startswith(NOT_PERMITTED)
    return refused or isinstance(error, NotPermitted)


def mend(error: OrgshareError, action: str, who: Who) -> str:
    """How to mend a call that was not answered."""
    if isinstance(error, CredentialsRefused):
        return "use credentials that exist and have not expired"
    if _lacks_permission(error):
        return f"allow {action} in a policy of {who.name} in account {who.account}"
    if isinstance(error, Refused):
        return f"see what {error.code} of {action} means; it was called as {who.name} in account {who.account}"
    if isinstance(error, NoAnswer) and not error.code:
        return "check the network between here and the endpoint"
    return "try again in a few minutes; if it stays, ask the vendor with the request id"


def _mend_credentials(error: OrgshareError) -> str:
    if isinstance(error, CredentialsRefused):
        return (
            "set ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and, for temporary ones, "
            "ALIBABA_CLOUD_SECURITY_TOKEN to credentials that exist and have not expired"
        )
    return mend(error, "sts:GetCallerIdentity", Who("these credentials", "their own"))


def _mend_role(error: OrgshareError, role: str, key: str, caller: Who) -> str:
    code = getattr(error, "code", "")
    if code == NO_SUCH_ROLE:
        return f"create the role {role}, or correct {key} in the policy"
    if _lacks_permission(error):
        return (
            f"let the trust policy of {role} name account {caller.account}, and allow sts:AssumeRole on {role} "
            f"in a policy of {caller.name} in account {caller.account}"
        )
    return mend(error, "sts:AssumeRole", caller)
