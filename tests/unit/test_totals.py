import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf import templates
from conf.streams import Ledger, Total
from jobs.rules.totals import GREATEST, LEAST, plus

TICKETS = Ledger(
    table="tickets",
    key=("ticket_id", "kind"),
    time="at",
    sums={
        "sold": "CASE kind WHEN 'sale' THEN 1 ELSE 0 END",
        "revenue": "CASE kind WHEN 'sale' THEN price ELSE -price END",
    },
)
sums = st.tuples(*[st.integers(min_value=-(2**40), max_value=2**40)] * 3)


@given(st.lists(sums, min_size=1), st.randoms())
def test_the_order_of_partials_does_not_matter(partials: list[tuple[int, ...]], dice) -> None:  # noqa: ANN001
    shuffled = list(partials)
    dice.shuffle(shuffled)
    one = other = (0, 0, 0)
    for a, b in zip(partials, shuffled, strict=True):
        one, other = plus(one, a), plus(other, b)
    assert one == other == tuple(sum(column) for column in zip(*partials, strict=True))


@pytest.mark.parametrize(("most", "more"), [(GREATEST, 1), (LEAST, -1)])
def test_what_no_bigint_holds_is_an_error_and_no_other_number(most: int, more: int) -> None:
    assert plus((1, most), (1, 0)) == (2, most)
    with pytest.raises(OverflowError, match="more than a bigint holds"):
        plus((1, most), (1, more))


def test_a_totals_template_has_its_bucket_its_key_and_its_sums() -> None:
    template = templates.of_total(Total("ticket_sales_per_minute", "show_id", "minute"), TICKETS)
    assert template["index_patterns"] == ["ticket_sales_per_minute"]
    assert template["template"]["mappings"]["dynamic"] == "strict"
    assert template["template"]["mappings"]["properties"] == {
        "minute": {"type": "date"},
        "show_id": {"type": "keyword"},
        "sold": {"type": "long"},
        "revenue": {"type": "long"},
        "version": {"type": "long"},
        "updated_at": {"type": "date"},
    }


def test_every_template_is_for_the_index_of_its_name() -> None:
    found = templates.templates()
    assert {name: [name] for name in found} == {name: each["index_patterns"] for name, each in found.items()}
    assert {"deliveries", "carbon", "districts", "pay_per_complex", "charge_per_day"} <= found.keys()
