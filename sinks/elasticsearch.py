"""Elasticsearch: documents, and the templates of their indices.

Contract of `documents`: at least once on the way, exactly once as a result. A document's id is its key and its version
only grows; an answer that a newer one is there counts as done. 429, 5xx and a server that is away are retried with
growing pauses while the stream is held back; a document that is refused goes to the dead letters with the reason.
"""

from typing import TYPE_CHECKING

import elastic_transport
from elasticsearch import ApiError, AuthenticationException, AuthorizationException, Elasticsearch

from conf.city.places import districts
from conf.settings import Settings
from conf.templates import templates
from sinks.errors import NotReadyError
from sinks.kafka import dead_letter_topic

if TYPE_CHECKING:
    from pyflink.datastream import DataStream

MAX_BATCH_DOCUMENTS = 2_000
MAX_BATCH_BYTES = 2 * 1024 * 1024
MAX_BULKS_IN_FLIGHT = 2
MAX_BUFFERED_MS = 1_000
# An index, or all of them, that nothing may be written to for now.
BLOCKS = ("cluster_block_exception", "index_create_block_exception")


def documents(stream: "DataStream", index: str, *, topic: str, settings: Settings) -> None:
    """Write rows as documents of `index`.

    Args:
        stream: rows with `_id` and `_version`, perhaps `_topic`, `_partition` and `_offset` (where the record came
            from), and the fields of the document.
        index: its template is one of conf/templates.py.
        topic: whose dead-letter topic takes what Elasticsearch refuses.
        settings: the server and the brokers.

    Raises:
        NotReadyError: the server, the key or the index template is missing.
    """
    from pyflink.datastream.connectors import Sink
    from pyflink.java_gateway import get_gateway

    check(settings, index)
    key = settings.elasticsearch.api_key
    sink = get_gateway().jvm.citystream.elasticsearch.ElasticsearchSink(
        settings.elasticsearch.url,
        key.get_secret_value() if key else None,
        index,
        stream._j_data_stream.getType().getDataType(),
        MAX_BATCH_DOCUMENTS,
        MAX_BATCH_BYTES,
        MAX_BULKS_IN_FLIGHT,
        MAX_BUFFERED_MS,
        settings.kafka.bootstrap_servers,
        dead_letter_topic(topic),
    )
    stream.sink_to(Sink(sink)).name(f"{index}: Elasticsearch").uid(f"{index}.elasticsearch")


def client(settings: Settings) -> Elasticsearch:
    """A client of the server."""
    key = settings.elasticsearch.api_key
    return Elasticsearch(
        settings.elasticsearch.url,
        api_key=key.get_secret_value() if key else None,
        request_timeout=30,
        retry_on_timeout=True,
    )


def apply_templates(settings: Settings) -> list[str]:
    """Put the templates of all indices; return their names. Existing indices keep their mapping."""
    wanted = templates()
    try:
        with client(settings) as elasticsearch:
            for name, template in wanted.items():
                elasticsearch.indices.put_index_template(name=name, **template)
    except (ApiError, elastic_transport.TransportError) as error:
        raise NotReadyError(_remedy(error, settings)) from error
    return sorted(wanted)


def load_districts(settings: Settings) -> int:
    """Write the city's districts into the index `districts`; return how many. The same again changes nothing."""
    lines: list[dict[str, object]] = []
    for district in districts():
        lines.append({"index": {"_id": district.code}})
        lines.append(
            {
                "region": district.code,
                "name": district.name,
                "romanised": district.romanised,
                "population": district.population,
                "location": [district.lon, district.lat],
            }
        )
    try:
        with client(settings) as elasticsearch:
            answer = elasticsearch.bulk(index="districts", operations=lines)
    except (ApiError, elastic_transport.TransportError) as error:
        raise NotReadyError(_remedy(error, settings)) from error
    if answer["errors"]:
        refused = next(item["index"]["error"] for item in answer["items"] if "error" in item["index"])
        if refused["type"] == "security_exception":
            message = (
                "The API key may not write the index districts: run `make up` again, which replaces the local stack's, "
                "or give ELASTICSEARCH_API_KEY that right."
            )
            raise NotReadyError(message)
        if refused["type"] in BLOCKS:
            raise NotReadyError(_lift(settings, refused["reason"]))
        message = (
            f"Elasticsearch refused a district ({refused['type']}: {refused['reason']}): "
            "delete the index districts and run `make prepare`."
        )
        raise NotReadyError(message)
    return len(answer["items"])


def check(settings: Settings, index: str) -> None:
    """Refuse to start where the server, the key or an index template is missing.

    Raises:
        NotReadyError: says what to change.
    """
    try:
        with client(settings) as elasticsearch:
            if not elasticsearch.indices.exists_index_template(name=index):
                message = f"Elasticsearch has no index template {index}: run `make prepare`."
                raise NotReadyError(message)
    except (ApiError, elastic_transport.TransportError) as error:
        raise NotReadyError(_remedy(error, settings)) from error


def _remedy(error: Exception, settings: Settings) -> str:
    url = settings.elasticsearch.url
    if isinstance(error, ApiError) and error.error in BLOCKS:
        return _lift(settings, str(error))
    if isinstance(error, AuthenticationException):
        return f"Elasticsearch at {url} does not know this API key: set ELASTICSEARCH_API_KEY."
    if isinstance(error, AuthorizationException):
        return f"Elasticsearch at {url} forbids it to this API key; it needs the rights `make up` gives ({error})."
    if isinstance(error, elastic_transport.ConnectionError):
        return f"Elasticsearch does not answer at {url}: start it (`make up`) or set ELASTICSEARCH_URL."
    return f"Elasticsearch at {url} refused: {error}"


def _lift(settings: Settings, reason: str) -> str:
    return (
        f"Elasticsearch at {settings.elasticsearch.url} takes nothing for now ({reason}): free the disk space that it "
        "asks for at its watermarks, or lift the block that somebody set."
    )
