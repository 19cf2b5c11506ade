"""The templates of Elasticsearch's indices: conf/elasticsearch's files, and one for each total of conf/streams.py."""

import json
from pathlib import Path
from typing import Any

from conf.settings import ROOT
from conf.streams import STREAMS, Ledger, Total

FOLDER = ROOT / "conf" / "elasticsearch"
BUCKETS = {"day": {"type": "date", "format": "yyyy-MM-dd"}, "minute": {"type": "date"}}

Template = dict[str, Any]


def templates() -> dict[str, Template]:
    """Every index template, by the name of the one index it is for."""
    found = {path.stem: _read(path) for path in sorted(FOLDER.glob("*.json"))}
    for stream in STREAMS.values():
        if stream.ledger:
            found |= {total.table: of_total(total, stream.ledger) for total in stream.totals}
    return found


def of_total(total: Total, ledger: Ledger) -> Template:
    """The template of a total's index: conf/elasticsearch/totals/total.json with the total's own fields."""
    template = _read(FOLDER / "totals" / "total.json")
    template["index_patterns"] = [total.table]
    template["template"]["mappings"]["properties"] |= {
        total.bucket: BUCKETS[total.bucket],
        **({total.key: {"type": "keyword"}} if total.key else {}),
        **{column: {"type": "long"} for column in ledger.sums},
    }
    return template


def _read(path: Path) -> Template:
    template: Template = json.loads(path.read_text(encoding="utf-8"))
    return template
