"""What `make doctor` compares, without servers: clocks, and templates in two forms."""

import pytest

from conf.templates import templates
from control.checks import _plain, skew


@pytest.mark.parametrize(
    ("theirs", "ahead"), [(100.5, 0), (100, 0), (101, 0), (104, 3), (97, -3)], ids=["between", "at", "by", "+3", "-3"]
)
def test_a_clock_is_off_only_as_far_as_is_certain(theirs: float, ahead: float) -> None:
    """An answer that took a second may have been given at any moment of it."""
    assert skew(100, theirs, 101) == ahead


def test_a_template_is_the_same_as_elasticsearch_gives_it_back() -> None:
    ours = templates()["tickets"]
    settings = {"index": {"number_of_shards": "1", "number_of_replicas": "0", "refresh_interval": "5s"}}
    theirs = {**ours, "composed_of": [], "template": {**ours["template"], "settings": settings}}
    assert _plain(theirs) == _plain(ours)
    theirs["template"] = {**theirs["template"], "settings": {"index": {"number_of_shards": "3"}}}
    assert _plain(theirs) != _plain(ours)
    theirs["template"] = {**ours["template"], "mappings": {"dynamic": "strict", "properties": {}}}
    assert _plain(theirs) != _plain(ours)
