"""KMA's forecasts: issue times, the grid, what is read of answers, and that the job takes what the poller makes."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from apis import kma
from apis.calendar import KOREA
from apis.client import milliseconds
from apis.data_go_kr import Item, read_body
from conf.settings import load
from generators.pollers.carbon import messages, plan
from generators.pollers.state import Known
from generators.simulator import envelopes
from generators.simulator.carbon import forecasts, weather
from jobs.rules.carbon import announced
from jobs.rules.fields import RejectedError

SEED = 27


def korean(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=KOREA)


def short_items(issued: datetime, masked_share: float = 0) -> list[Item]:
    """As they arrive: through the service's own JSON."""
    said = forecasts.short_term(SEED, issued, 90, 91, masked_share)
    page = envelopes.page(said, 1, 1500, len(said), as_json=True, bare=False, message=envelopes.NORMAL_SERVICE)
    return list(read_body(page).items)


def mid_items(issued: datetime) -> tuple[Item, Item]:
    found = []
    for made in (forecasts.temperatures, forecasts.lands):
        page = envelopes.page([made(SEED, issued, "11H10701")], 1, 10, 1, as_json=True, bare=False)
        found.append(read_body(page).items[0])
    return found[0], found[1]


class TestGrid:
    @pytest.mark.parametrize(
        ("lon", "lat", "cell"),
        [
            (126.929810, 37.488201, (59, 125)),
            (126.9780, 37.5665, (60, 127)),
            (128.6014, 35.8714, (89, 91)),
            (126.0, 38.0, (43, 136)),
        ],
    )
    def test_a_position_has_its_cell(self, lon: float, lat: float, cell: tuple[int, int]) -> None:
        assert kma.cell(lon, lat) == cell

    def test_a_position_outside_is_refused(self) -> None:
        with pytest.raises(ValueError, match="outside KMA's grid"):
            kma.cell(139.7, 35.7)


class TestIssues:
    @pytest.mark.parametrize(
        ("term", "now", "newest", "next_at"),
        [
            (kma.SHORT, "2026-11-26T05:14:59", "2026-11-26T02:00", "2026-11-26T05:15"),
            (kma.SHORT, "2026-11-26T05:15:00", "2026-11-26T05:00", "2026-11-26T08:15"),
            (kma.SHORT, "2026-11-26T01:00:00", "2026-11-25T23:00", "2026-11-26T02:15"),
            (kma.SHORT, "2026-11-26T23:59:00", "2026-11-26T23:00", "2026-11-27T02:15"),
            (kma.MID, "2026-11-26T06:29:00", "2026-11-25T18:00", "2026-11-26T06:30"),
            (kma.MID, "2026-11-26T18:30:00", "2026-11-26T18:00", "2026-11-27T06:30"),
        ],
    )
    def test_the_newest_and_the_next(self, term: kma.Term, now: str, newest: str, next_at: str) -> None:
        # Asked in UTC, as pollers count.
        moment = korean(now).astimezone(UTC)
        assert term.issues(moment - timedelta(days=2), moment)[0] == korean(newest)
        assert term.next(moment) == korean(next_at)

    def test_there_are_as_many_as_are_issued(self) -> None:
        now = korean("2026-11-26T12:00")
        assert len(kma.SHORT.issues(now - timedelta(days=3), now)) == 24
        assert len(kma.MID.issues(now - timedelta(days=3), now)) == 6

    @pytest.mark.parametrize(
        ("term", "issued", "first", "last"),
        [
            (kma.SHORT, "2026-11-26T14:00", "2026-11-26", "2026-11-29"),
            (kma.SHORT, "2026-11-26T17:00", "2026-11-26", "2026-11-30"),
            (kma.SHORT, "2026-12-31T23:00", "2026-12-31", "2027-01-04"),
            (kma.MID, "2026-11-26T06:00", "2026-11-30", "2026-12-06"),
            (kma.MID, "2026-11-26T18:00", "2026-12-01", "2026-12-06"),
        ],
    )
    def test_how_far_each_reaches(self, term: kma.Term, issued: str, first: str, last: str) -> None:
        assert term.reach(korean(issued)) == (date.fromisoformat(first), date.fromisoformat(last))

    def test_times_of_no_issue(self) -> None:
        for text in ("2026-11-26T05:01", "2026-11-26T06:00", "2026-11-26T05:00:00.001"):
            assert not kma.SHORT.is_issued(korean(text))
        assert kma.SHORT.is_issued(korean("2026-11-26T05:00").astimezone(UTC))


class TestShortTerm:
    @pytest.mark.parametrize(
        ("hour", "count"),
        [(2, 944), (5, 907), (8, 871), (11, 835), (14, 798), (17, 1052), (20, 1016), (23, 980)],
    )
    def test_an_issue_has_as_many_items_as_the_real_one(self, hour: int, count: int) -> None:
        assert len(short_items(korean(f"2026-10-04T{hour:02}:00"))) == count

    @pytest.mark.parametrize(
        ("hour", "days"), [(2, range(4, 8)), (5, range(5, 8)), (14, range(5, 8)), (17, range(5, 9)), (23, range(5, 9))]
    )
    def test_it_tells_of_whole_days_to_its_last_and_of_today_in_the_night(self, hour: int, days: range) -> None:
        told = kma.short_term(short_items(korean(f"2026-10-04T{hour:02}:00")))
        assert [each.day for each in told] == [date(2026, 10, day) for day in days]

    def test_what_is_said_is_what_was_meant(self) -> None:
        issued = korean("2026-10-04T05:00")
        for each in kma.short_term(short_items(issued)):
            meant = forecasts.said(SEED, issued, each.day)
            assert each.mean_celsius == pytest.approx(meant.mean, abs=0.5)
            assert (each.min_celsius, each.max_celsius) == (round(meant.low, 1), round(meant.high, 1))
            assert each.rain_percent == meant.percent
            assert each.rain_mm is not None
            assert (each.rain_mm > 0) == (meant.rain > 0)

    def test_masked_hours_are_left_out_and_a_masked_day_is_not_told_of(self) -> None:
        items = short_items(korean("2026-10-04T05:00"))
        shown = {each.day: each for each in kma.short_term(items)}

        def without(day: str, *hours: str) -> dict[date, kma.Announced]:
            masked = [
                {**item, "fcstValue": "-999"}
                if item["fcstDate"] == day and (not hours or item["fcstTime"] in hours)
                else item
                for item in items
            ]
            return {each.day: each for each in kma.short_term(masked)}

        five, six = date(2026, 10, 5), date(2026, 10, 6)
        gap = without("20261005", "0300", "0400")
        assert gap[five].mean_celsius == pytest.approx(shown[five].mean_celsius, abs=0.8)
        assert gap[six] == shown[six]
        # A gap of four hours: no mean of hours, but the extremes have a middle.
        wide = without("20261005", "0200", "0300", "0400")[five]
        assert wide.mean_celsius == pytest.approx((wide.min_celsius + wide.max_celsius) / 2, abs=0.01)
        assert set(without("20261005")) == set(shown) - {five}

    @pytest.mark.parametrize(
        ("hourly", "millimetres"),
        [
            ("강수없음", 0), ("-", 0), ("", 0), ("0", 0), ("1mm 미만", 12), ("1.0mm 미만", 12), ("2.5mm", 60),
            ("30.0~50.0mm", 960), ("30.0mm~50.0mm", 960), ("50.0mm 이상", 1200), ("viel", None),
        ],
    )  # fmt: skip
    def test_rain_in_words(self, hourly: str, millimetres: float | None) -> None:
        items = [
            {**item, "fcstValue": hourly} if item["category"] == "PCP" else item
            for item in short_items(korean("2026-10-04T05:00"))
        ]
        assert kma.short_term(items)[0].rain_mm == millimetres

    @pytest.mark.parametrize(("code", "millimetres"), [("0", 0), ("1", 12), ("2", 216), ("3", 360), ("강수없음", None)])
    def test_rain_in_codes_on_the_last_day(self, code: str, millimetres: float | None) -> None:
        items = [
            {**item, "fcstValue": code} if item["category"] == "PCP" else item
            for item in short_items(korean("2026-10-04T05:00"))
        ]
        assert kma.short_term(items)[-1].rain_mm == millimetres


class TestMidTerm:
    @pytest.mark.parametrize(("hour", "first"), [(6, 8), (18, 9)])
    def test_days_are_counted_from_the_issue(self, hour: int, first: int) -> None:
        issued = korean(f"2026-10-04T{hour:02}:00")
        temperature, land = mid_items(issued)
        assert ("taMin4" in temperature, "rnSt4Am" in land) == (hour == 6, hour == 6)
        told = kma.mid_term(issued, temperature, land)
        assert [each.day for each in told] == [date(2026, 10, day) for day in range(first, 15)]
        for each in told:
            meant = forecasts.said(SEED, issued, each.day)
            assert (each.min_celsius, each.max_celsius) == (round(meant.low), round(meant.high))
            assert each.mean_celsius == (each.min_celsius + each.max_celsius) / 2
            assert (each.rain_mm, each.rain_percent) == (None, meant.percent)

    def test_what_is_absent_is_not_told_of(self) -> None:
        issued = korean("2026-10-04T06:00")
        temperature, _ = mid_items(issued)
        temperature = {**temperature, "taMin5": "", "taMax6": "-999"}
        del temperature["taMin7"]
        told = kma.mid_term(issued, temperature, {})
        assert [each.day.day for each in told] == [8, 12, 13, 14]
        assert {each.rain_percent for each in told} == {None}


class TestSimulatedErrors:
    def test_they_grow_with_the_horizon_and_begin_anew_with_the_seed(self) -> None:
        days = [date(2025, 1, 1) + timedelta(days=number) for number in range(400)]

        def missed(seed: int, ahead: int) -> float:
            errors = [
                forecasts.said(seed, datetime(day.year, day.month, day.day, 5, tzinfo=KOREA), target).mean
                - weather.on(seed, target).mean_celsius
                for day in days
                for target in [day + timedelta(days=ahead)]
            ]
            return float((sum(error * error for error in errors) / len(errors)) ** 0.5)

        by_horizon = [missed(SEED, ahead) for ahead in (1, 3, 5, 7, 10)]
        assert by_horizon == sorted(by_horizon)
        assert 0.7 < by_horizon[0] < 1.2
        assert 2.6 < by_horizon[-1] < 3.9
        assert missed(SEED, 3) == by_horizon[1]
        assert missed(SEED + 1, 3) != by_horizon[1]

    def test_two_issues_in_a_row_say_nearly_the_same(self) -> None:
        target = date(2026, 1, 20)
        morning, evening = korean("2026-01-13T06:00"), korean("2026-01-13T18:00")
        change = forecasts.said(SEED, morning, target).mean - forecasts.said(SEED, evening, target).mean
        assert 0 < abs(change) < 3


# ----- the rule that poller and job share

ISSUED = korean("2026-10-04T05:00")
SAID = kma.Announced(date(2026, 10, 5), 14.25, 9.8, 20.1, 3.5, 70)
KEY = messages.forecast_key("143", kma.SHORT, ISSUED, SAID.day)
AT = milliseconds(ISSUED + timedelta(minutes=16))


def value(**changes: Any) -> bytes:
    record = {**json.loads(messages.forecast_value("143", kma.SHORT, ISSUED, SAID)), **changes}
    return json.dumps({name: each for name, each in record.items() if each is not ...}).encode()


def test_the_job_takes_what_the_poller_makes() -> None:
    for issued in (ISSUED, korean("2026-12-31T23:00"), korean("2026-01-31T17:00")):
        for each in kma.short_term(short_items(issued)):
            key = messages.forecast_key("143", kma.SHORT, issued, each.day)
            made = announced.parse(key, messages.forecast_value("143", kma.SHORT, issued, each), milliseconds(issued))
            assert (made.kind, made.issued_at, made.day) == ("short-term", milliseconds(issued), each.day.isoformat())
            assert tuple(map(float, made[4:7])) == each[1:4]
            assert (made.rain_mm is None, made.rain_percent) == (each.rain_mm is None, each.rain_percent)
    issued = korean("2026-10-04T18:00")
    for each in kma.mid_term(issued, *mid_items(issued)):
        key = messages.forecast_key("143", kma.MID, issued, each.day)
        made = announced.parse(key, messages.forecast_value("143", kma.MID, issued, each), milliseconds(issued))
        assert (made.kind, made.rain_mm) == ("mid-term", None)


def test_the_key_and_the_value_are_as_documented() -> None:
    assert KEY == "143|short-term|2026-10-03T20:00:00.000Z|2026-10-05"
    assert json.loads(value()) == {
        **{"station": "143", "kind": "short-term", "issued_at": "2026-10-03T20:00:00.000Z", "day": "2026-10-05"},
        **{"mean_celsius": 14.25, "min_celsius": 9.8, "max_celsius": 20.1, "rain_mm": 3.5, "rain_percent": 70},
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "long-term"}, "out-of-range"),
        ({"kind": "mid-term"}, "out-of-range"),  # no mid-term issue at five
        ({"issued_at": "2026-10-03T21:00:00.000Z"}, "out-of-range"),
        ({"issued_at": "2026-10-04T20:00:00.000Z"}, "out-of-range"),  # after its fetch
        ({"issued_at": "2026-10-04T05:00:00+09:00"}, "wrong-type"),
        ({"issued_at": ...}, "missing-field"),
        ({"day": "2026-10-03"}, "out-of-range"),
        ({"day": "2026-10-08"}, "out-of-range"),
        ({"day": "2026-10-32"}, "wrong-type"),
        ({"mean_celsius": "14"}, "wrong-type"),
        ({"mean_celsius": None}, "missing-field"),
        ({"mean_celsius": 21}, "out-of-range"),
        ({"max_celsius": 999}, "out-of-range"),
        ({"rain_mm": -1}, "out-of-range"),
        ({"rain_percent": 101}, "out-of-range"),
        ({"rain_percent": 7.5}, "wrong-type"),
        ({"station": "144"}, "key-mismatch"),
        ({"day": "2026-10-06"}, "key-mismatch"),
    ],
)
def test_what_can_not_be_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        announced.parse(KEY, value(**changes), AT)
    assert caught.value.reason == reason


class TestPlan:
    now = korean("2026-11-26T12:00")
    watch = load().pollers.watch.model_copy(update={"forecast_days": 1})

    def wanted(self, known: dict[str, dict[str, Known]]) -> list[tuple[str, str]]:
        known = {"forecast_short": {}, "forecast_land": {}, **known}
        found = plan.issues(["143"], known, self.now, self.watch, 3)
        return [(term.name, f"{issued:%d %H}") for _, term, issued in found]

    def test_every_issue_that_can_be_read_is_asked_for_once_and_the_newest_first(self) -> None:
        all_of = self.wanted({})
        assert all_of[:3] == [("short-term", "26 11"), ("short-term", "26 08"), ("mid-term", "26 06")]
        assert len(all_of) == 8 + 2
        answered = {messages.issue_key("143", korean("2026-11-26T11:00")): Known("values", 1, 0, None)}
        assert self.wanted({"forecast_short": answered}) == all_of[1:]

    def test_one_that_is_late_is_asked_for_again_and_then_left(self) -> None:
        issued = korean("2026-11-26T11:00")
        for minutes, again in ((20, True), (80, False)):
            none = Known("none", milliseconds(issued + timedelta(minutes=minutes)), 0, None)
            left = self.wanted({"forecast_short": {messages.issue_key("143", issued): none}})
            assert (("short-term", "26 11") in left) == again
