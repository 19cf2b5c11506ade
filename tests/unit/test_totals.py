from hypothesis import given
from hypothesis import strategies as st

from jobs.rules.totals import NOTHING, Sums

sums = st.builds(Sums, *[st.integers(min_value=0, max_value=2**62)] * 3)


@given(st.lists(sums), st.randoms())
def test_the_order_of_partials_does_not_matter(partials: list[Sums], dice) -> None:  # noqa: ANN001
    shuffled = list(partials)
    dice.shuffle(shuffled)
    one = other = NOTHING
    for a, b in zip(partials, shuffled, strict=True):
        one, other = one.plus(a), other.plus(b)
    assert (
        one == other == Sums(*(sum(column) for column in zip(*partials, strict=True))) if partials else one == NOTHING
    )
