"""World events on the board: where they are, what they cost, what changed, and what is near one of them."""

from board.view import Listing, Query, View

_DAYS = "BETWEEN coalesce(%(from)s::date, current_date - 30) AND coalesce(%(to)s::date, current_date + 365)"
_COMING = "state <> 'deleted' AND coalesce(end_at, start_at) >= now()"
_COLUMNS = "event_id, title, category, country, start_at, end_at, rank, attendance, spend, update_type"
# Kilometres on the sphere, by the haversine.
_KM = (
    "12742 * asin(least(1, sqrt(sin(radians(o.lat - e.lat) / 2) ^ 2"
    " + cos(radians(e.lat)) * cos(radians(o.lat)) * sin(radians(o.lon - e.lon) / 2) ^ 2)))"
)

VIEW = View(
    sections={
        "world_events": Query(
            f"SELECT {_COLUMNS}, lat, lon FROM events WHERE {_COMING} AND lat IS NOT NULL AND lon IS NOT NULL"
            " ORDER BY rank DESC NULLS LAST, attendance DESC NULLS LAST, event_id LIMIT 1000",
            every=10,
        ),
        "event_countries": Query(
            "SELECT country, sum(events)::bigint AS events, sum(spend)::bigint AS spend_usd,"
            " sum(attendance)::bigint AS attendance FROM event_spend WHERE day >= current_date GROUP BY 1"
            " HAVING sum(events) > 0 ORDER BY spend_usd DESC, country",
            every=10,
        ),
        "newest_events": Query(
            "SELECT event_id, title, country, update_type, updated FROM events"
            " WHERE update_type > 0 ORDER BY updated DESC, event_id LIMIT 12",
            every=5,
        ),
    },
    details={
        "events": {
            "event": "SELECT event_id, title, category, country, scope, timezone, lat, lon, airport, start_at,"
            " end_at, rank, local_rank, attendance, spend AS spend_usd, state, update_type, updated, flaws FROM events"
            " WHERE event_id = %(id)s",
            "event_changes": "SELECT updated, update_type, changed::text AS changed, seen_at FROM event_changes"
            " WHERE event_id = %(id)s ORDER BY updated DESC LIMIT 500",
            "nearby_places": "SELECT n.kind AS place_kind, n.name, n.metres, n.attribution FROM events e"
            " JOIN nearby_places n ON n.place = e.place AND n.expires_at > now()"
            " WHERE e.event_id = %(id)s ORDER BY n.metres LIMIT 500",
            "event_flights": "SELECT f.flight, f.origin, f.destination, f.departs_at, f.arrives_at, f.amount,"
            " f.currency FROM events e JOIN flight_offers f ON e.airport IN (f.origin, f.destination)"
            " AND f.expires_at > now() AND f.day BETWEEN e.start_day - 3 AND coalesce(e.end_day, e.start_day) + 3"
            " WHERE e.event_id = %(id)s ORDER BY f.day, f.amount LIMIT 500",
            "events_near": f"SELECT o.event_id, o.title, o.category, o.start_at, o.end_at, o.rank, {_KM} AS km"
            " FROM events e JOIN events o ON o.country = e.country AND o.event_id <> e.event_id"
            " AND o.state <> 'deleted' AND o.start_at <= coalesce(e.end_at, e.start_at)"
            f" AND coalesce(o.end_at, o.start_at) >= e.start_at AND {_KM} < 50"
            " WHERE e.event_id = %(id)s ORDER BY km LIMIT 100",
        },
        "countries": {
            "country_spend": "SELECT date_trunc('month', day)::date AS month, sum(events)::bigint AS events,"
            " sum(spend)::bigint AS spend_usd FROM event_spend WHERE country = %(id)s"
            f" AND day {_DAYS}"
            " GROUP BY 1 ORDER BY 1",
            "country_categories": "SELECT category, sum(events)::bigint AS events, sum(spend)::bigint AS spend_usd,"
            " sum(attendance)::bigint AS attendance FROM event_spend WHERE country = %(id)s"
            f" AND day {_DAYS}"
            " GROUP BY 1 HAVING sum(events) > 0 ORDER BY 3 DESC",
            "country_events": "SELECT event_id, title, category, start_at, end_at, rank, attendance,"
            " spend AS spend_usd, update_type FROM events WHERE country = %(id)s AND state <> 'deleted'"
            " AND coalesce(end_at, start_at) >= coalesce(%(from)s::date, current_date - 30)"
            " AND start_at < coalesce(%(to)s::date, current_date + 365) + 1"
            " ORDER BY rank DESC NULLS LAST LIMIT 1000",
            "fares": "SELECT week, currency, offers, mean_fare, lowest_fare FROM fares_per_country_week"
            " WHERE country = %(id)s ORDER BY week LIMIT 500",
        },
    },
    listings={
        "events": Listing(
            source=f"(SELECT {_COLUMNS.replace('spend', 'spend AS spend_usd')}, state FROM events) events",
            columns=(
                *("title", "event_id", "category", "country", "start_at", "end_at", "rank", "attendance", "spend_usd"),
                *("update_type", "state"),
            ),
            order="rank",
            key=("event_id",),
            filters=("country", "category", "update_type"),
            search=("title", "event_id"),
            time="start_at",
            default_hours=None,
        )
    },
    pages=("/events", "/countries"),
)
