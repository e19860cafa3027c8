"""Reading folders: those on paths, those named, and whole trees."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgshare.observe.organization import FOLDER_LEVELS, read_organization
from orgshare.words import Organization
from tests.observe.fakes import MANAGEMENT, ROOT, FakeDirectory, Inline

TREE = {
    "fd-prod": ROOT,
    "fd-eu": "fd-prod",
    "fd-eu-1": "fd-eu",
    "fd-us": "fd-prod",
    "fd-test": ROOT,
    "fd-empty": ROOT,
    "fd-deep": "fd-empty",
}
MEMBERS = {"1000000000000003": "fd-eu", "1000000000000004": ROOT, MANAGEMENT: ROOT}


def read(
    directory: FakeDirectory, *named: str, trees: tuple[str, ...] = (), executor: Inline | None = None
) -> Organization:
    return read_organization(directory, named, trees, executor or Inline())


def usual(**lies: object) -> FakeDirectory:
    """The tree above, with answers that are lies."""
    return FakeDirectory(TREE, MEMBERS, **lies)  # type: ignore[arg-type]


def test_folders_on_paths_are_known_without_asking() -> None:
    """The listing of members places every folder above them, and the management account is no member."""
    directory = usual()

    organization = read(directory, "fd-prod", "root", "fd-eu")

    assert organization.folders == {
        ROOT: (ROOT,),
        "fd-prod": (ROOT, "fd-prod"),
        "fd-eu": (ROOT, "fd-prod", "fd-eu"),
    }
    assert (organization.listed, organization.unread_folders) == (frozenset(), frozenset())
    assert (directory.asked, directory.listed) == ([], [])
    assert set(organization.members) == {"1000000000000003", "1000000000000004"}


def test_a_named_folder_on_no_path_is_asked_for() -> None:
    """It is placed with all folders above it; one that does not exist is not there, and neither is unread."""
    directory = usual()

    organization = read(directory, "fd-deep", "fd-none", "fd-deep")

    assert organization.folders["fd-deep"] == (ROOT, "fd-empty", "fd-deep")
    assert organization.folders["fd-empty"] == (ROOT, "fd-empty")
    assert "fd-none" not in organization.folders
    assert organization.unread_folders == frozenset()
    assert directory.asked == ["fd-deep", "fd-none"]


def test_a_named_folder_that_gives_no_answer_is_unread() -> None:
    """Of a folder that could not be asked for nothing is said, and the others are read."""
    organization = read(usual(silent=["fd-test"]), "fd-test", "fd-us")

    assert organization.unread_folders == {"fd-test"}
    assert "fd-test" not in organization.folders
    assert "fd-us" in organization.folders


def test_a_tree_is_read_to_its_last_folder() -> None:
    """All folders below it are known and listed, those beside it are not asked about."""
    directory = usual()

    organization = read(directory, trees=("fd-prod",))

    assert organization.listed == {"fd-prod", "fd-eu", "fd-eu-1", "fd-us"}
    assert organization.folders["fd-eu-1"] == (ROOT, "fd-prod", "fd-eu", "fd-eu-1")
    assert sorted(directory.listed) == ["fd-eu", "fd-eu-1", "fd-prod", "fd-us"]


@pytest.mark.parametrize("root", ["root", ROOT])
def test_root_may_be_a_tree_by_its_id_or_its_word(root: str) -> None:
    """The tree of Root is the whole organization, read level by level, each level at once."""
    executor = Inline()

    organization = read(usual(), trees=(root,), executor=executor)

    assert organization.folders.keys() == organization.listed == {ROOT, *TREE}
    assert executor.batches == [0, 1, 3, 3, 1]


def test_trees_within_each_other_are_read_once() -> None:
    """No folder is listed twice, however the named trees overlap."""
    directory = usual()

    read(directory, trees=("fd-eu", "root", "fd-prod", "fd-deep"))

    assert len(directory.listed) == len(set(directory.listed))


def test_a_tree_on_no_path_is_placed_first() -> None:
    """The top of a tree is asked for by its id, once, named or not; one that does not exist is simply not there."""
    directory = usual()

    organization = read(directory, "fd-empty", trees=("fd-empty", "fd-none"))

    assert organization.listed == {"fd-empty", "fd-deep"}
    assert organization.unread_folders == frozenset()
    assert directory.asked == ["fd-empty", "fd-none"]


def test_folders_at_the_lowest_level_are_not_asked_for_subfolders() -> None:
    """Below the fifth level there can be none: its folders are listed without a call."""
    parents = {f"fd-{level}": f"fd-{level - 1}" if level > 1 else ROOT for level in range(1, FOLDER_LEVELS + 1)}
    directory = FakeDirectory(parents)

    organization = read(directory, trees=("root",))

    assert organization.listed == {ROOT, *parents}
    assert sorted(directory.listed) == sorted({ROOT, *parents} - {"fd-5"})


@pytest.mark.parametrize(
    "lie",
    [
        {"silent": ["fd-prod"]},
        {"totals": {"fd-prod": 3}},
        {"children": {"fd-prod": ("fd-us",)}},
        {"children": {"fd-prod": ("fd-eu", "fd-us", "fd-prod")}},
        {"children": {"fd-prod": ("fd-eu", ROOT)}},
    ],
    ids=["no answer", "wrong total", "a folder of a path left out", "its own subfolder", "what is above it"],
)
def test_a_tree_that_cannot_be_listed_is_unread(lie: dict[str, object]) -> None:
    """A listing that fails, or contradicts what is known, places nothing, and the other branches are read."""
    organization = read(usual(**lie), trees=("root",))

    assert organization.unread_folders == {"fd-prod"}
    assert organization.listed == {ROOT, "fd-test", "fd-empty", "fd-deep"}
    assert "fd-us" not in organization.folders
    assert organization.folders["fd-eu"] == (ROOT, "fd-prod", "fd-eu")


@pytest.mark.parametrize("chain", [(ROOT, "fd-eu", "fd-new"), (ROOT, "fd-test", "fd-prod", "fd-new"), ("r-2", ROOT)])
def test_a_folder_in_a_place_that_contradicts_the_paths_is_unread(chain: tuple[str, ...]) -> None:
    """Where a folder above it is known elsewhere, nothing of the answer is believed."""
    organization = read(usual(chains={"fd-new": chain}), "fd-new")

    assert organization.unread_folders == {"fd-new"}
    assert organization.folders == read(usual()).folders


def test_a_named_folder_contradicts_a_listing_without_it() -> None:
    """A folder that exists by its id is missed in the listing of the folder above it."""
    organization = read(usual(children={"fd-empty": ()}), "fd-deep", trees=("fd-empty",))

    assert organization.unread_folders == {"fd-empty"}
    assert organization.listed == frozenset()


FOLDERS = [f"fd-{number}" for number in range(6)]


@st.composite
def directories(draw: st.DrawFn) -> FakeDirectory:
    """Any tree of six folders, some with members; some of them may give no answer."""
    parents = {folder: draw(st.sampled_from([ROOT, *FOLDERS[:number]])) for number, folder in enumerate(FOLDERS)}
    too_deep = {folder for folder in FOLDERS if len(FakeDirectory(parents).chain(folder)) > FOLDER_LEVELS + 1}
    parents |= dict.fromkeys(too_deep, ROOT)
    members = {f"100000000000010{n}": folder for n, folder in enumerate(draw(st.lists(st.sampled_from(FOLDERS))))}
    return FakeDirectory(parents, members, silent=draw(st.sets(st.sampled_from([ROOT, *FOLDERS]))))


SOME = st.lists(st.sampled_from(["root", "fd-none", *FOLDERS]), max_size=3)


@given(directories(), SOME, SOME)
def test_what_is_said_of_folders_is_always_true(directory: FakeDirectory, named: list[str], trees: list[str]) -> None:
    """Every chain is the true one; below a listed folder all subfolders are known; what is missing is named unread."""
    organization = read(directory, *named, trees=tuple(trees))

    assert all(chain == directory.chain(folder) for folder, chain in organization.folders.items())
    for folder, child in product(organization.listed, FOLDERS):
        assert child in organization.folders or directory.parents[child] != folder
    assert organization.listed.isdisjoint(organization.unread_folders)
    assert organization.unread_folders <= directory.silent
    for folder in {*named, *trees} & set(FOLDERS):
        assert folder in organization.folders or folder in organization.unread_folders
    for tree in {ROOT if tree == "root" else tree for tree in trees} & {ROOT, *FOLDERS}:
        whole = {tree, *directory.below(tree)}
        assert whole <= organization.listed or whole & organization.unread_folders
