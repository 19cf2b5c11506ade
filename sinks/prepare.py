"""`make prepare`: topics, migrations, index templates, districts. Run it again at any time; it adds what is missing."""

import argparse
import sys

from conf.settings import SettingsError, load
from sinks import elasticsearch, kafka, postgres
from sinks.errors import NotReadyError


def main(arguments: list[str] | None = None) -> int:
    """Prepare all servers; 0 when they are ready."""
    argparse.ArgumentParser(prog="python -m sinks.prepare", description=__doc__).parse_args(arguments)
    try:
        settings = load()
        for what, done in (
            ("Kafka topics", kafka.create_topics(settings)),
            ("PostgreSQL migrations", postgres.migrate(settings)),
        ):
            print(f"{what}: {'created ' + ', '.join(done) if done else 'all there'}")
        print(f"Elasticsearch index templates: applied {', '.join(elasticsearch.apply_templates(settings))}")
        print(f"Elasticsearch index districts: {elasticsearch.load_districts(settings)} written")
    except (SettingsError, NotReadyError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
