from hypothesis import given, settings
from hypothesis import strategies as st

from orgshare.signals import NOTHING, ImageAt, Signal, merge
from orgshare.words import Shard
from tests.signals.strategies import signals


def test_that_merging_names_everything_once() -> None:
    """A merged signal names each account, image and shard once, and says why once for each event."""
    shard = Shard("ecs", "1000000000000002", "cn-hangzhou")
    first = Signal(accounts=frozenset({"1"}), images=frozenset({ImageAt("m-1")}), why=("one", "two"))
    second = Signal(accounts=frozenset({"1", "2"}), shards=frozenset({shard}), why=("two", "three"))

    assert merge([first, second, first]) == Signal(
        accounts=frozenset({"1", "2"}),
        images=frozenset({ImageAt("m-1")}),
        shards=frozenset({shard}),
        why=("one", "two", "three"),
    )


def test_that_one_sweep_makes_the_whole_a_sweep() -> None:
    """If one of several events asks for everything, the merged signal does."""
    assert merge([NOTHING, Signal(everything=True), NOTHING]) == Signal(everything=True)


def test_that_merging_nothing_is_nothing() -> None:
    """Without events there is nothing to look at."""
    assert merge([]) == NOTHING


@settings(deadline=None)
@given(signals(), signals(), signals())
def test_that_merging_knows_no_grouping_and_no_duplicates(a: Signal, b: Signal, c: Signal) -> None:
    """However events are batched, and however often they come, the same is looked at for the same reasons."""
    assert merge([a, merge([b, c])]) == merge([merge([a, b]), c]) == merge([a, b, c, a, b, c])
    assert merge([a, NOTHING]) == merge([a, a]) == a


@settings(deadline=None)
@given(st.booleans(), signals())
def test_that_empty_means_nothing_to_look_at(everything: bool, signal: Signal) -> None:
    """A signal is empty exactly if it names nothing and asks for no sweep; reasons do not count."""
    assert Signal(why=signal.why).empty
    assert Signal(everything=everything).empty is not everything
    assert signal.empty is (signal == Signal(why=signal.why))


def test_that_a_signal_can_not_be_changed() -> None:
    """A signal is a value: it can be a key, and equal ones are the same key."""
    assert len({Signal(accounts=frozenset({"1"})), Signal(accounts=frozenset({"1"}))}) == 1
