"""Folders through the official SDK: their places, and what lies below them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from localcloud import LocalCloud
from orgshare.errors import Malformed, NotPermitted, Refused
from orgshare.observe.organization import read_organization
from orgshare.ports import Directory, Page
from tests.alibaba.reaching import Canned, cloud
from tests.support.cloud import BANK, LAB, MANAGEMENT, OWNER, SHOP

Begin = Callable[..., LocalCloud]
Answering = Callable[..., Canned]

ROOT = "r-local1"


def directory() -> Directory:
    return cloud(MANAGEMENT).directory()


def test_a_folder_has_its_chain_from_root(begin: Begin) -> None:
    """The chain ends with the folder itself; Root is a chain of one."""
    begin()
    reads = directory()

    assert reads.folder("fd-eu") == (ROOT, "fd-prod", "fd-eu")
    assert reads.folder(ROOT) == (ROOT,)


@pytest.mark.parametrize("folder", ["fd-none", "nonsense"])
def test_a_folder_that_does_not_exist_is_none(begin: Begin, folder: str) -> None:
    """Neither an unknown id nor one that cannot be one is an error."""
    begin()

    assert directory().folder(folder) is None


@pytest.mark.parametrize("code", ["EntityNotExists.ResourceDirectory", "NoPermission", "MissingParameter.FolderId"])
def test_another_refusal_is_no_answer_about_a_folder(canned: Answering, code: str) -> None:
    """Only the two codes that speak of the folder mean that it does not exist."""
    canned((404, code))

    with pytest.raises((Refused, NotPermitted), match=code):
        directory().folder("fd-1")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "rd-1",
        "rd-1/r-1",
        "rd-1/r-1/fd-2",
        "rd-1/fd-1",
        "r-1/fd-1",
        "x/r-1/fd-1",
        "rd-1/r-1/fd-1/100",
        "rd-1/r-1//fd-1",
        None,
    ],
)
def test_a_path_that_does_not_lead_to_the_folder_is_malformed(canned: Answering, path: str | None) -> None:
    """A place that cannot be right is no place."""
    row = {"FolderId": "fd-1"} if path is None else {"FolderId": "fd-1", "ResourceDirectoryPath": path}
    canned({"Folder": row})

    with pytest.raises(Malformed):
        directory().folder("fd-1")


def test_subfolders_are_those_directly_below(begin: Begin) -> None:
    """Neither the folder itself nor what is deeper is listed; Root is a folder too."""
    begin()
    reads = directory()

    assert reads.subfolders(ROOT, 1) == Page(("fd-prod", "fd-test"), 2)
    assert reads.subfolders("fd-prod", 1) == Page(("fd-eu",), 1)
    assert reads.subfolders("fd-eu", 1) == Page((), 0)


def test_subfolders_come_in_pages_of_a_hundred(canned: Answering) -> None:
    """The page and the total are the vendor's."""
    cloud_ = canned({"Folders": {"Folder": [{"FolderId": "fd-1"}]}, "TotalCount": 101})

    assert directory().subfolders("fd-9", 2) == Page(("fd-1",), 101)
    assert cloud_.requests == [
        ("ListFoldersForParent", {"ParentFolderId": "fd-9", "PageNumber": "2", "PageSize": "100"})
    ]


@pytest.mark.parametrize(
    "answer",
    [
        {"TotalCount": 0},
        {"Folders": {"Folder": []}},
        {"Folders": {"Folder": []}, "TotalCount": "none"},
        {"Folders": {"Folder": [{}]}, "TotalCount": 1},
    ],
)
def test_a_listing_of_subfolders_that_lacks_something_is_malformed(canned: Answering, answer: dict[str, Any]) -> None:
    """No total, no list or a row without an id prove nothing."""
    canned(answer)

    with pytest.raises(Malformed):
        directory().subfolders("fd-1", 1)


def test_subfolders_of_an_unknown_folder_are_refused(begin: Begin) -> None:
    """A folder that went away meanwhile is an error, never a folder without subfolders."""
    begin()

    with pytest.raises(Refused, match=r"EntityNotExists\.Folder"):
        directory().subfolders("fd-none", 1)


def test_the_organization_is_read_with_its_trees(begin: Begin) -> None:
    """Members, named folders and a whole tree come together, in threads too."""
    begin()

    with ThreadPoolExecutor(4) as executor:
        organization = read_organization(directory(), ["fd-eu", "fd-none"], ["root"], executor)

    assert set(organization.members) == {OWNER, SHOP, BANK, LAB}
    assert organization.folders == {
        ROOT: (ROOT,),
        "fd-prod": (ROOT, "fd-prod"),
        "fd-eu": (ROOT, "fd-prod", "fd-eu"),
        "fd-test": (ROOT, "fd-test"),
    }
    assert organization.listed == organization.folders.keys()
    assert organization.unread_folders == frozenset()
