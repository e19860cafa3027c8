"""What the property tests draw from."""

from hypothesis import strategies as st

from orgshare.signals import ImageAt, Signal
from orgshare.words import Shard

IDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=20
).filter(lambda text: not text.startswith("."))
SHARDS = st.builds(Shard, st.just("ecs"), IDS, IDS)
IMAGES = st.builds(ImageAt, IDS, st.none() | IDS, st.none() | IDS)


def signals() -> st.SearchStrategy[Signal]:
    """Signals that a worker could be asked to follow."""
    return st.builds(
        Signal,
        accounts=st.frozensets(IDS, max_size=4),
        images=st.frozensets(IMAGES, max_size=4),
        shards=st.frozensets(SHARDS, max_size=4),
        everything=st.booleans(),
        why=st.lists(st.text(max_size=30), max_size=4, unique=True).map(tuple),
    )
