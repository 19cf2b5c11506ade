"""What Kibana shows: data views, maps, Lens panels and dashboards, defined in Python and kept in conf/kibana/*.ndjson.

A module per stream, of its name, says what there is, in its `DASHBOARDS`; `objects`, `lens`, `maps` and `dashboards`
give it the form of Kibana's saved objects; `importing` sends the files to a Kibana.
"""
