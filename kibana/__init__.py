"""What Kibana shows: data views, maps, Lens panels and dashboards, defined in Python and kept in conf/kibana/*.ndjson.

`deliveries` and `carbon` say what there is; `objects`, `lens`, `maps` and `dashboards` give it the form of Kibana's
saved objects; `importing` sends the files to a Kibana.
"""
