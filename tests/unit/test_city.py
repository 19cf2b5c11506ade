from collections import Counter

from conf.city import places
from conf.city.places import districts
from generators.city import COMPLEXES


def test_the_nine_districts_of_daegu() -> None:
    codes = [district.code for district in districts()]
    assert codes == ["27110", "27140", "27170", "27200", "27230", "27260", "27290", "27710", "27720"]
    for district in districts():
        assert district.covers(district.lat, district.lon)
        assert 128.35 < district.west < district.east < 128.91
        assert 35.60 < district.south < district.north < 36.33


def test_complexes_lie_in_their_districts() -> None:
    by_code = {district.code: district for district in districts()}
    for place in places.complexes():
        assert by_code[place.region].covers(place.lat, place.lon)
        assert 150 <= place.households <= 3000
        assert place.complex_id[0] == "A"
        assert place.complex_id[1:].isdigit()
        assert len(place.complex_id) == 9
        assert place.address.startswith(f"대구광역시 {by_code[place.region].name} ")


def test_there_are_more_complexes_where_more_people_live() -> None:
    count = Counter(place.region for place in places.complexes())
    assert count.total() == COMPLEXES
    people = {district.code: district.population for district in districts()}
    assert max(count, key=lambda code: count[code]) == max(people, key=lambda code: people[code])
    assert all(count[code] >= 2 for code in people)


def test_ids_and_names_are_unique() -> None:
    assert len({place.complex_id for place in places.complexes()}) == COMPLEXES
    assert len({(place.region, place.name) for place in places.complexes()}) == COMPLEXES
