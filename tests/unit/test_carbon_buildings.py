"""Energy by lot: which lots an address names, what a page says, and what of it is a complex's."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis import legal_dongs, parcels
from apis.parcels import lot, lots
from conf.city import places
from generators.simulator.carbon import parcels as simulated
from generators.simulator.carbon.services import World, basis_item, road_address
from jobs.rules.carbon import buildings
from jobs.rules.carbon.known import Conversion, Known
from jobs.rules.fields import RejectedError
from jobs.rules.newest import Seen
from tests.carbon import Page, buildings_body
from tests.pollers import RICH

MAY = date(2026, 5, 1)
AT = 1_795_200_000_000
KEY = "2726010100|2026-05|gas|1"
ROWS: Page = [((False, 12, 3), "100.5"), ((False, 12, 3), "0.000000001"), ((True, 12, 3), "7"), ((False, 13, 0), "")]

NUMBERS = st.integers(1, 9999)
LOTS = st.lists(st.tuples(st.booleans(), NUMBERS, st.integers(0, 9999)), min_size=1, max_size=5)


def written(named: list[tuple[bool, int, int]], separator: str, suffix: str) -> str:
    return separator.join(f"{'산' * mountain}{main}{f'-{sub}' if sub else ''}{suffix}" for mountain, main, sub in named)


class TestLots:
    @given(
        LOTS,
        st.sampled_from([", ", ",", "·"]),
        st.sampled_from(["", "번지"]),
        st.sampled_from(
            ["대구광역시 수성구 범어동", "경상북도 경산시 진량읍 선화리", "대구 중구 종로1가", "전북 완주군 이서면"]
        ),
        st.sampled_from(["", " 2차 이름", " 이름", "외 3필지 101동", " 외 2필지", " (이름)"]),
    )
    def test_are_those_that_the_address_names(
        self, named: list[tuple[bool, int, int]], separator: str, suffix: str, place: str, name: str
    ) -> None:
        wanted = {lot(str(int(mountain)), main, sub) for mountain, main, sub in named}
        assert set(lots(f"{place} {written(named, separator, suffix)}{name}")) == wanted

    @given(st.text())
    def test_any_text_has_lots_or_none(self, text: str) -> None:
        assert all(len(each) == 11 for each in lots(text))

    @pytest.mark.parametrize(
        ("address", "wanted"),
        [
            ("대구광역시 수성구 범어동 177 3차 이름", ("0-0177-0000",)),
            ("대구광역시 수성구 범어동 산 12-3 이름", ("1-0012-0003",)),
            ("대구광역시 수성구 범어동 177, 3차 이름", ("0-0177-0000",)),
            ("대구광역시 수성구 범어동 177-3, 178-1외 1필지 이름", ("0-0177-0003", "0-0178-0001")),
            ("대구광역시 달성군 화원읍 옥포로 114", ()),
            ("대구광역시 수성구 달구벌대로 2435", ()),
            ("대구광역시 수성구 범어천로10길 5", ()),
            ("대구광역시 수성구 범어동 이름", ()),
            ("대구광역시 수성구 범어동 12345", ()),
            ("", ()),
        ],
    )
    def test_by_example(self, address: str, wanted: tuple[str, ...]) -> None:
        assert lots(address) == wanted

    def test_of_the_simulated_city_are_those_it_stands_on(self) -> None:
        world = World(27, date(2024, 5, 1), RICH)
        for place in places.complexes():
            wanted = {lot(str(int(each.mountain)), each.main, each.sub) for each in simulated.lots(place)}
            assert set(parcels.lots(basis_item(world, place)["kaptAddr"])) == wanted
            assert parcels.lots(road_address(place)) == ()


class TestPages:
    def test_rows_of_a_lot_are_added_and_a_mountain_is_another(self) -> None:
        found = buildings.parse(KEY, buildings_body("2726010100", MAY, "gas", ROWS), AT)
        assert found.dong == "2726010100"
        assert dict(found.kwh) == {"0-0012-0003": Decimal("100.500000001"), "1-0012-0003": Decimal(7)}

    def test_a_renamed_dong_has_its_code_of_now(self) -> None:
        key = "4772025021|2023-05|gas|1"
        assert buildings.parse(key, buildings_body("4772025021", date(2023, 5, 1), "gas", ()), AT).dong == "2772025021"

    @pytest.mark.parametrize(
        ("key", "rows", "reason"),
        [
            (None, ROWS, "key-mismatch"),
            ("2726010100|2026-05|gas", ROWS, "key-mismatch"),
            ("2726010100|2026-05|water|1", ROWS, "key-mismatch"),
            ("2726010100|2026-05|gas|0", ROWS, "key-mismatch"),
            ("2726010100|2026-13|gas|1", ROWS, "key-mismatch"),
            ("2726010200|2026-05|gas|1", ROWS, "key-mismatch"),
            ("2726010100|2026-05|gas|0012-0004", ROWS, "key-mismatch"),
            ("2726010100|2026-12|gas|1", (), "out-of-range"),
            (KEY, [((False, 12, 3), "-1")], "out-of-range"),
            (KEY, [((False, 12, 3), "1e9")], "wrong-type"),
            (KEY, [((False, 12345, 3), "1")], "out-of-range"),
        ],
    )
    def test_what_can_not_be_is_refused(self, key: str | None, rows: Page, reason: str) -> None:
        with pytest.raises(RejectedError) as caught:
            buildings.parse(key, buildings_body("2726010100", MAY, "gas", rows), AT)
        assert caught.value.reason == reason

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (None, "null-value"),
            (b"Unauthorized", "not-xml"),
            (b"<response><header><resultCode>22</resultCode></header></response>", "api-error"),
            (b"<response><header><resultCode>00</resultCode></header><body><items><item/></items></body></response>",
             "missing-field"),
        ],
    )  # fmt: skip
    def test_a_body_that_is_none_is_refused(self, body: bytes | None, reason: str) -> None:
        with pytest.raises(RejectedError) as caught:
            buildings.parse(KEY, body, AT)
        assert caught.value.reason == reason

    def test_no_data_is_an_empty_page(self) -> None:
        body = b"<response><header><resultCode>03</resultCode><resultMsg>NODATA_ERROR</resultMsg></header></response>"
        assert buildings.parse(KEY, body, AT).kwh == ()


KWH = {"0-0012-0003": Decimal(5), "0-0013-0000": Decimal(7)}


class TestOfLots:
    def test_pages_and_rows_are_added(self) -> None:
        pages = {"1": ((1, 0), KWH), "2": ((1, 0), {"0-0012-0003": Decimal(1)})}
        assert buildings.of_lots(pages, ["0-0012-0003", "0-0013-0000", "0-0014-0000"]) == 13
        assert buildings.of_lots(pages, ["0-0014-0000"]) is None
        assert buildings.of_lots({"1": ((1, 0), {"0-0012-0003": Decimal(0)})}, ["0-0012-0003"]) is None

    @pytest.mark.parametrize(("at", "wanted"), [(2, 9), (0, 5)])
    def test_a_lots_own_answer_counts_where_it_is_newer(self, at: int, wanted: int) -> None:
        pages = {"1": ((1, 0), KWH), "0012-0003": ((at, 0), {"0-0012-0003": Decimal(9)})}
        assert buildings.of_lots(pages, ["0-0012-0003"]) == wanted
        assert buildings.of_lots(pages, ["0-0013-0000"]) == 7


def test_gas_is_converted_by_what_is_valid_and_electricity_not_at_all() -> None:
    facts = {
        f"metered|{month}|{item}|1": Seen((1, 0), (Decimal(1000),), entered=True, times=1)
        for month in ("2023-12", "2024-01")
        for item in ("electricity", "gas")
    }
    known = Known(
        facts, "1", None, [Conversion("gas", "2024-01", Decimal(8)), Conversion("gas", "2009-01", Decimal(10))]
    )
    assert known.months["2023-12"].used[:2] == (1000, 100)
    assert known.months["2024-01"].used[:2] == (1000, 125)
    assert Known(facts, None, None, []).months["2024-01"].used[:2] == (None, None)


@pytest.mark.parametrize(
    ("code", "month", "then"),
    [
        ("2772025021", date(2023, 6, 1), "4772025021"),
        ("2772025021", date(2023, 7, 1), "2772025021"),
        ("4772025021", date(2023, 7, 1), "2772025021"),
        ("2726010100", date(2020, 1, 1), "2726010100"),
        ("5211110100", date(2023, 10, 1), "4511110100"),
    ],
)
def test_a_renamed_district_has_the_code_of_the_month(code: str, month: date, then: str) -> None:
    assert legal_dongs.at(code, month) == then
    assert legal_dongs.current(then) == legal_dongs.current(code)
