"""`make prepare`: topics, migrations, index templates, districts. Run it again at any time; it adds what is missing."""

import sys

from conf.errors import Parser, command
from conf.settings import serving
from sinks import elasticsearch, kafka, postgres


@command
def main(arguments: list[str] | None = None) -> int:
    """Prepare all servers; 0 when they are ready."""
    Parser(prog="python -m sinks.prepare", description=__doc__).parse_args(arguments)
    settings = serving("kafka", "postgres", "elasticsearch")
    for what, done in (
        ("Kafka topics", kafka.create_topics(settings)),
        ("PostgreSQL migrations", postgres.migrate(settings)),
    ):
        print(f"{what}: {'created ' + ', '.join(done) if done else 'all there'}")
    print(f"Elasticsearch index templates: applied {', '.join(elasticsearch.apply_templates(settings))}")
    print(f"Elasticsearch index districts: {elasticsearch.load_districts(settings)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
