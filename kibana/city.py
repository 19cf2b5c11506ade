"""What all streams share of the city: its districts on the map, and their names in place of codes."""

from conf.city.places import districts
from kibana.maps import Layer, colour, join_field, label, size, summed
from kibana.objects import SavedObject, data_view, names_of

REGIONS = names_of({district.code: f"{district.name} {district.romanised}" for district in districts()})
DISTRICTS = data_view("districts", "districts", formats={"region": REGIONS})
EVERYWHERE = [district.code for district in districts()]


def per_district(title: str, of: SavedObject, ramp: str, *sums: str) -> Layer:
    """A map's layer of one point per district, in the middle of its area: larger and darker is more.

    Args:
        title: what the legend says.
        of: the data view of documents with a `region`.
        ramp: the colours.
        sums: fields that are summed; the first one is shown.
    """
    shown = join_field(of, "region", sums[0])
    return Layer.places(
        title,
        DISTRICTS,
        "location",
        colour(shown, ramp),
        size(shown, 10, 40),
        label("name"),
        key="region",
        of=of,
        term="region",
        metrics=[summed(each) for each in sums],
        tooltip=["name", "romanised", "population"],
    )
