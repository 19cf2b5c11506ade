"""What all streams share of the city: its districts on the map, and their names in place of codes."""

from conf.city.places import districts
from kibana.objects import data_view, names_of

REGIONS = names_of({district.code: f"{district.name} {district.romanised}" for district in districts()})
DISTRICTS = data_view("districts", "districts", formats={"region": REGIONS})
EVERYWHERE = [district.code for district in districts()]
