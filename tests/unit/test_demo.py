"""What the demo fills topics with."""

import importlib.util

import pytest

from conf.streams import STREAMS, Stream
from stack import demo
from stack.servers import feed


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_each_stream_has_something_to_show(stream: Stream) -> None:
    if feed.name(stream) in feed.FEEDS:
        assert not stream.sample
        return
    module, *arguments = stream.sample
    assert importlib.util.find_spec(module)
    assert arguments


def test_a_sample_that_fails_is_said_and_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    demo.fill(Stream("x", (), sample=("generators.coordinates", "upload", "--crs=EPSG:4326", "no-such-file.csv")))
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("The topics of x were not filled:")
    assert "no-such-file.csv" in said
