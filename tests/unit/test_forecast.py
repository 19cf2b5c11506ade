import io
import json
from dataclasses import astuple, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from forecast import backtest, features
from forecast.forecaster import Forecaster
from forecast.history import COMPLEX, REGION, History
from forecast.intervals import Intervals
from forecast.model import Fitted
from forecast.rolling import HORIZONS, Replay, TooLittleDataError, replay
from forecast.store import NoModelError, Store
from forecast.weather import SOURCES, TYPICAL, Announced, Climate, Outlook, Skill, Weather, degree_days
from tests.emission import City, announced, city

TODAY = np.datetime64("2026-11-21")
TRAINED_AT = datetime(2026, 11, 21, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def town() -> City:
    return city(7, complexes=45)


@pytest.fixture(scope="module")
def past(town: City) -> Replay:
    return replay(town.history, town.weather, announced(town.weather))


@pytest.fixture(scope="module")
def model(town: City, past: Replay) -> Forecaster:
    return Forecaster.of(town.history, town.weather, past, nominal=0.9, trained_at=TRAINED_AT)


def flat(celsius: list[float]) -> Weather:
    mean = np.array(celsius, dtype=float)
    days = np.datetime64("2026-01-01") + np.arange(len(mean))
    return Weather(days, mean, mean - 5, mean + 5, np.zeros(len(mean)))


class TestWeather:
    def test_extremes_that_no_day_has_are_the_means(self) -> None:
        weather = Weather.of(
            [(date(2026, 1, 1), 2.0, float("nan"), None, None), (date(2026, 1, 4), 5.0, float("nan"), None, None)]
        )
        assert weather.low.tolist() == weather.high.tolist() == weather.mean.tolist() == [2.0, 3.0, 4.0, 5.0]

    def test_a_missing_day_is_interpolated_and_rain_that_is_missing_is_none(self) -> None:
        rows = [(date(2026, 1, 3), 4.0, 0.0, 8.0, None), (date(2026, 1, 1), 2.0, -2.0, 6.0, 1.5)]
        weather = Weather.of(rows)
        assert weather.days.astype(str).tolist() == ["2026-01-01", "2026-01-02", "2026-01-03"]
        assert weather.mean.tolist() == [2.0, 3.0, 4.0]
        assert weather.rain.tolist() == [1.5, 0.0, 0.0]

    def test_a_newest_day_without_temperature_is_not_known(self) -> None:
        weather = Weather.of([(date(2026, 1, 1), 2.0, 0.0, 4.0, 0.0), (date(2026, 1, 2), None, None, None, 3.0)])
        assert len(weather) == 1

    @given(st.floats(-20, 20), st.floats(0.1, 8))
    def test_expected_degree_days_are_those_of_the_normal_distribution(self, excess: float, sigma: float) -> None:
        mean, spread = degree_days(np.array([excess]), np.array([sigma]))
        x = np.linspace(excess - 8 * sigma, excess + 8 * sigma, 20_001)
        density = np.exp(-(((x - excess) / sigma) ** 2) / 2)
        density /= density.sum()
        exact = (np.maximum(x, 0) * density).sum()
        assert mean[0] == pytest.approx(exact, abs=1e-3)
        assert spread[0] == pytest.approx(np.sqrt((np.maximum(x, 0) ** 2 * density).sum() - exact**2), abs=1e-2)

    def test_known_days_are_not_guessed(self) -> None:
        mean, spread = degree_days(np.array([3.5, -1.0]), np.zeros(2))
        assert (mean.tolist(), spread.tolist()) == ([3.5, 0.0], [0.0, 0.0])

    def test_an_anomaly_fades_towards_the_normal(self, town: City) -> None:
        climate = Climate.of(town.weather)
        assert 0.5 < climate.persistence < 0.85
        warm = replace(town.weather, mean=town.weather.mean.copy())
        warm.mean[-1] += 6
        ahead = (
            climate.outlook(warm, HORIZONS).mean[-HORIZONS:] - climate.outlook(town.weather, HORIZONS).mean[-HORIZONS:]
        )
        assert ahead == pytest.approx(6 * climate.persistence ** np.arange(1, HORIZONS + 1))

    def test_winters_vary_more_than_summers(self) -> None:
        days = np.datetime64("2024-01-01") + np.arange(3 * 365)
        winter = np.cos(2 * np.pi * np.arange(len(days)) / 365.25)
        mean = 15 - 12 * winter + (3 + winter) * np.random.default_rng(5).normal(size=len(days))
        sigma = Climate.of(Weather(days, mean, mean - 5, mean + 5, np.zeros(len(days)))).sigma(days)
        assert sigma[:365] == pytest.approx((3 + winter)[:365], rel=0.15)

    def test_less_than_a_year_is_refused(self) -> None:
        with pytest.raises(ValueError, match="100 days of weather"):
            Climate.of(flat([5.0] * 100))


ISSUED = datetime(2026, 11, 20, 20, tzinfo=UTC)  # at five in Korea on the day of `TODAY`


def said(*rows: tuple[str, int, int, float]) -> Announced:
    """Rows of kind, hours after ISSUED, day of November, mean."""
    return Announced.of(
        (kind, ISSUED + timedelta(hours=hours), date(2026, 11, day), mean, mean - 4, mean + 6, None)
        for kind, hours, day, mean in rows
    )


class TestAnnounced:
    def test_of_a_day_the_newest_short_term_issue_counts_or_else_the_newest_mid_term_one(self) -> None:
        told = said(
            ("short-term", -3, 21, 1),
            ("short-term", 0, 21, 2),
            ("mid-term", 1, 21, 3),
            ("mid-term", 1, 25, 5),
            ("mid-term", -11, 25, 6),
            ("short-term", 0, 29, 7),
        ).newest(TODAY, 7)
        assert told.days.astype(str).tolist() == ["2026-11-21", "2026-11-25"]
        assert told.mean.tolist() == [2, 5]
        assert [SOURCES[source] for source in told.sources] == ["forecast", "mid-term"]
        assert told.leads.tolist() == pytest.approx([7 / 24, 4 + 6 / 24])

    def test_a_morning_knows_issues_until_nine(self) -> None:
        told = said(("short-term", 0, 21, 1), ("short-term", 3, 21, 2), ("short-term", 6, 21, 3))
        assert told.before(TODAY).mean.tolist() == [1, 2]  # five and eight
        assert told.before(TODAY - 1).mean.tolist() == []

    def test_what_is_learnt_grows_with_each_kind(self) -> None:
        learnt = [
            said(*rows).learnt
            for rows in (
                [],
                [("mid-term", 1, 25, 5)],
                [("mid-term", 1, 25, 5), ("short-term", 0, 21, 5)],
                [("mid-term", 1, 25, 5), ("short-term", 3, 21, 5)],
                [("mid-term", 13, 25, 5), ("short-term", 3, 21, 5)],
            )
        ]
        assert learnt == sorted(set(learnt))

    def test_skill_is_what_was_missed_and_without_any_what_is_typical(self, town: City) -> None:
        climate = Climate.of(town.weather)
        assert astuple(Skill.of(said(), town.weather, climate)) == pytest.approx(astuple(TYPICAL))
        for size in (0.5, 2.0):
            true = announced(town.weather)
            at = (true.days - town.weather.days[0]).astype(int)
            meant = replace(true, mean=town.weather.mean[at] + size * (true.mean - town.weather.mean[at]))
            skill = Skill.of(meant, town.weather, climate)
            # What it misses does not vary with the season, while weather does.
            assert skill.sigma(np.array([1.0, 9.0])) == pytest.approx(size * np.array([1.0, 3.0]), rel=0.2)

    def test_a_forecast_counts_by_its_error_and_that_of_the_normal(self, town: City) -> None:
        climate = Climate.of(town.weather)
        usual = climate.outlook(town.weather, 7).part(TODAY, TODAY + 7)
        told = said(*(("short-term", 3, day, 0.0) for day in (21, 22)), ("mid-term", 1, 25, 0.0))
        for skill, counts in ((Skill(1e-6, 0), 1), (Skill(1e6, 0), 0)):
            ahead = climate.outlook(town.weather, 7, told, skill).part(TODAY, TODAY + 7)
            at = [0, 1, 4]
            assert ahead.mean[at] == pytest.approx(usual.mean[at] * (1 - counts), abs=1e-3)
            assert ahead.sigma[at] == pytest.approx(usual.sigma[at] * (1 - counts), abs=1e-3)
            assert (ahead.mean[2], ahead.sigma[2]) == (usual.mean[2], usual.sigma[2])
            assert (ahead.mean - ahead.low)[at] == pytest.approx(4)
            assert (ahead.high - ahead.mean)[at] == pytest.approx(6)
            words = ["forecast", "forecast", "normal", "normal", "mid-term", "normal", "normal"]
            assert [SOURCES[source] for source in ahead.sources] == words
        assert np.array_equal(usual.rain, ahead.rain)  # none was told


class TestFeatures:
    @pytest.mark.parametrize(
        ("day", "holiday"),
        [
            ("2026-02-17", 1),
            ("2026-03-02", 1),
            ("2026-09-25", 1),
            ("2026-11-20", 0),
            ("2026-10-09", 1),
            ("2026-10-12", 0),
        ],
    )
    def test_korean_holidays_and_their_substitutes(self, day: str, holiday: int) -> None:
        assert features.is_holiday(np.array([day], dtype="datetime64[D]")).tolist() == [holiday]

    def test_weekdays(self) -> None:
        days = np.array(["2026-11-16", "2026-11-21", "2026-11-22"], dtype="datetime64[D]")
        assert features.weekdays(days).tolist() == [0, 5, 6]

    def test_every_name_has_its_column(self) -> None:
        weather = flat([10, 12, 30, 11, 9, 8, 7, 6, 5])
        outlook = observed(weather)
        matrix = features.matrix(outlook)
        assert matrix.shape == (9, len(features.NAMES))
        column = {name: matrix[:, number] for number, name in enumerate(features.NAMES)}
        assert column["hdd"].tolist() == [8, 6, 0, 7, 9, 10, 11, 12, 13]
        assert column["cdd"][2] == 6
        assert column["yesterday"][1:].tolist() == weather.mean[:-1].tolist()
        assert column["week"][-1] == pytest.approx(weather.mean[-7:].mean())
        assert column["holiday"][0] == 1
        assert column["saturday"].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0]


def observed(weather: Weather) -> Outlook:
    return Climate(np.zeros((5, 4)), np.array([1.0, 0, 0]), 0.5, 0.1).outlook(weather, 0)


class TestNoLeakage:
    def test_what_comes_later_changes_no_forecast_made_before(self, town: City, past: Replay) -> None:
        # Everything after a morning is made absurd; what was forecast on that morning must stay.
        number = len(past.mornings) // 2
        morning = past.mornings[number]
        at = int(np.searchsorted(town.weather.days, morning))
        weather = replace(town.weather, mean=town.weather.mean.copy(), rain=town.weather.rain.copy())
        weather.mean[at:] += 15
        weather.rain[at:] += 100
        kg = town.history.kg.copy()
        kg[:, at:] *= 50
        told = announced(town.weather)
        later = told.issued > morning.astype("datetime64[s]")
        mean = np.where(later, told.mean + 30, told.mean)
        again = replay(replace(town.history, kg=kg), weather, replace(told, mean=mean))
        for way in ("forecast", "normals", "weather_sigma", "last_week", "month_mean"):
            before, after = getattr(past, way)[number], getattr(again, way)[number]
            assert np.array_equal(before, after, equal_nan=True), way
        assert not np.array_equal(past.actual[number], again.actual[number], equal_nan=True)

    def test_months_that_were_not_published_yet_are_not_used(self, town: City, past: Replay) -> None:
        behind = town.history.behind()
        assert set(behind) <= {1.0, 2.0, 3.0, 4.0}
        morning = np.datetime64("2026-06-20")
        then = town.history.as_of(morning, behind)
        for late, kg in zip(behind, then.kg, strict=True):
            newest = then.days[np.isfinite(kg)][-1].astype("datetime64[M]")
            assert newest <= np.datetime64("2026-06") - int(late)
        assert (past.known_until < past.mornings[:, None]).all()

    def test_of_a_region_that_was_never_whole_nothing_is_known(self, town: City) -> None:
        # Half of its complexes are known in the first month only, the others in all but the first.
        first = town.history.months == town.history.months[0]
        even = np.arange(len(town.ids)) % 2 == 0
        absent = (np.array(town.regions) == "27260")[:, None] & (even[:, None] != first)
        past = replay(replace(town.history, kg=np.where(absent, np.nan, town.history.kg)), town.weather)
        region = sorted(set(town.regions)).index("27260")
        assert (past.known_until[:, region] < town.history.days[0]).all()
        assert np.isnan(past.actual[:, region]).all()

    def test_a_complex_that_has_left_counts_no_longer(self, town: City) -> None:
        kg = town.history.kg.copy()
        kg[0, town.history.days >= np.datetime64("2026-01-01")] = np.nan
        kg[1] = np.nan
        assert replace(town.history, kg=kg).current().ids == town.ids[2:]


class TestRegions:
    def test_a_region_is_its_complexes_per_household(self) -> None:
        days = np.datetime64("2026-01-01") + np.arange(3)
        kg = np.array([[10.0, 20.0, 30.0], [90.0, np.nan, 90.0], [7.0, 7.0, np.nan]])
        history = History(days, ["a", "b", "c"], ["27110", "27110", "27260"], np.array([10.0, 30.0, 7.0]), kg)
        entities = history.entities()
        assert entities.scopes == [REGION, REGION, COMPLEX, COMPLEX, COMPLEX]
        assert entities.households.tolist() == [40, 7, 10, 30, 7]
        # On the second day only a quarter of the households are known: that is not the region.
        assert np.array_equal(entities.per_household[0], [2.5, np.nan, 3.0], equal_nan=True)

    def test_its_forecast_is_the_sum_of_its_complexes(self, town: City, model: Forecaster) -> None:
        made = model.forecast(town.weather, town.weather.days[-1] - 6, 14)
        own = [
            model.position(COMPLEX, name) for name, code in zip(town.ids, town.regions, strict=True) if code == "27260"
        ]
        assert made.kg[own].sum(axis=0) == pytest.approx(made.kg[model.position(REGION, "27260")])


class TestModel:
    def test_a_complex_that_began_to_save_is_followed(self, town: City) -> None:
        outlook = Climate.of(town.weather).outlook(town.weather, HORIZONS)
        past, ahead = outlook.part(town.weather.days[0], TODAY), outlook.part(TODAY, TODAY + HORIZONS)
        kg = town.history.kg.copy()
        kg[0, town.history.days >= np.datetime64("2025-11-01")] *= 0.8
        before, after = (
            Fitted.of(history, past).per_household(ahead) for history in (town.history, replace(town.history, kg=kg))
        )
        complexes = slice(-len(town.ids), None)
        ratio = (after / before)[complexes]
        assert ratio[0].mean() == pytest.approx(0.8, abs=0.03)
        assert ratio[1:] == pytest.approx(1, abs=0.01)


class TestIntervals:
    def test_with_known_weather_they_reach_as_far_as_misses_did(self) -> None:
        # 999 misses of -10 to 0 %, evenly.
        observed = np.full(999, 100.0)
        actual = observed - np.linspace(10, 0, 999)
        made = Intervals.of(actual, observed, np.zeros(999), observed, np.zeros(999), nominal=0.9, spells=10**6)
        bounds = [float(bound[0]) for bound in made.around(observed[:1], np.zeros(1), np.array([True]))]
        assert bounds == pytest.approx([91, 109], abs=0.02)

    def test_with_known_weather_old_misses_say_little_and_few_say_less(self) -> None:
        observed, nothing = np.full(999, 100.0), np.zeros(999)
        actual = np.repeat([110.0, 103.0], [500, 499])
        old = np.repeat([360.0, 0.0], [500, 499])

        def reach(age: np.ndarray, spells: float) -> float:
            made = Intervals.of(actual, observed, nothing, observed, age, nominal=0.9, spells=spells)
            return float(made.around(observed[:1], nothing[:1], np.array([True]))[1][0]) - 100

        assert reach(nothing, 10**6) == pytest.approx(10, abs=0.01)
        assert reach(old, 10**6) == pytest.approx(3, abs=0.01)
        # By Student's quantiles with a degree of freedom per month of five spells, of which there is one at least.
        assert reach(nothing, 10) == pytest.approx(10 * 2.920 / 1.645, abs=0.01)
        assert reach(nothing, 25) == pytest.approx(10 * 2.015 / 1.645, abs=0.01)
        assert reach(nothing, 3) == reach(nothing, 5) == pytest.approx(10 * 6.314 / 1.645, abs=0.01)

    def test_a_short_history_widens_them_ahead_too(self) -> None:
        observed, nothing = np.full(999, 100.0), np.zeros(999)
        actual = np.linspace(97, 103, 999)
        wide = [
            float(made.around(observed[:1], nothing[:1], np.array([False]))[1][0]) - 100
            for spells in (10, 10**6)
            for made in [Intervals.of(actual, observed, nothing, observed, nothing, nominal=0.9, spells=spells)]
        ]
        assert wide[0] > 1.2 * wide[1]

    def test_without_a_miss_there_are_none(self) -> None:
        nothing = np.full(3, np.nan)
        with pytest.raises(ValueError, match="nothing has come yet"):
            Intervals.of(nothing, nothing, nothing, nothing, nothing, nominal=0.9, spells=1)

    def test_ahead_they_are_drawn_to_the_normal_distribution_while_few_spells_were_seen(self) -> None:
        actual, forecast, weather_sigma = np.full(500, 106.0), np.full(500, 100.0), np.full(500, 2.0)
        bounds = {}
        for spells in (1e-6, 30, 10**6):
            made = Intervals.of(actual, forecast, weather_sigma, actual, np.zeros(500), nominal=0.9, spells=spells)
            bounds[spells] = [
                float(bound[0]) for bound in made.around(forecast[:1], weather_sigma[:1], np.array([False]))
            ]
        # Every day missed by three standard errors upwards.
        assert bounds[1e-6] == pytest.approx([100 - 1.645 * 2, 100 + 1.645 * 2], abs=0.01)
        assert bounds[30] == pytest.approx([100, 100 + (1.645 + 3) / 2 * 2], abs=0.01)
        assert bounds[10**6] == pytest.approx([100, 106], abs=0.01)


class TestBacktest:
    def test_it_beats_both_baselines_at_every_horizon(self, past: Replay) -> None:
        found = backtest.scores(past, 0.9)
        assert set(found) == {REGION, COMPLEX}
        for scope, ways in found.items():
            for horizon in range(backtest.SHOWN_DAYS):
                for baseline in backtest.BASELINES:
                    assert ways[backtest.FORECAST][horizon].mae < ways[baseline][horizon].mae, (
                        scope,
                        baseline,
                        horizon,
                    )
            weatherless, with_weather = ways[backtest.FORECAST], ways[backtest.OBSERVED]
            assert np.mean([row.mae for row in with_weather]) < 0.6 * np.mean([row.mae for row in weatherless])

    def test_it_shows_what_weather_forecasts_gain(self, town: City, past: Replay) -> None:
        found = backtest.scores(past, 0.9)
        for ways in found.values():
            rows = list(zip(ways[backtest.FORECAST], ways[backtest.NORMALS], strict=True))
            gains = [1 - own.mae / without.mae for own, without in rows]
            assert min(gains) > 0
            assert gains[1] > 0.3
            assert gains[1] > gains[-1]
        table, *_ = backtest.shown(found, past, 0.9)
        console = Console(width=160, file=io.StringIO())
        console.print(table)
        assert "less than without weather forecasts, %" in console.file.getvalue()  # type: ignore[attr-defined]
        bare = replay(town.history, town.weather)
        assert not bare.announced
        assert np.array_equal(bare.normals, past.normals)
        assert np.array_equal(bare.forecast, bare.normals)

    def test_intervals_cover_what_they_say(self) -> None:
        # Mornings of one history share its weather, so coverage is judged over several.
        coverage: dict[tuple[str, str], list[float]] = {}
        for seed in range(4):
            town = city(100 + seed, complexes=30)
            past = replay(town.history, town.weather, announced(town.weather, seed))
            for scope, ways in backtest.scores(past, 0.9).items():
                for way in (backtest.FORECAST, backtest.OBSERVED):
                    rows = ways[way]
                    coverage.setdefault((scope, way), []).append(float(np.mean([row.coverage or 0 for row in rows])))
        assert len(coverage) == 4
        for what, shares in coverage.items():
            assert np.mean(shares) == pytest.approx(0.9, abs=0.05), (what, shares)

    def test_too_little_data_says_how_little(self) -> None:
        town = city(3, complexes=12, first=date(2025, 12, 1))
        with pytest.raises(TooLittleDataError, match=r"known of \d+ months; 15 are needed"):
            replay(town.history, town.weather)


class TestForecaster:
    def test_the_same_inputs_give_the_same_rows(self, town: City, model: Forecaster) -> None:
        assert list(model.rows(town.weather, 7)) == list(model.rows(town.weather, 7))

    def test_rows_are_complete_and_in_order(self, town: City, model: Forecaster) -> None:
        rows = list(model.rows(town.weather, 7))
        assert len(rows) == 7 * (len(set(town.regions)) + len(town.ids))
        assert {row.day for row in rows} == {date(2026, 11, day) for day in range(21, 28)}
        assert all(0 <= row.lower <= row.kg_co2 <= row.upper for row in rows)
        assert {row.scope for row in rows} == {REGION, COMPLEX}

    def test_newer_weather_and_newer_models_have_higher_versions(self, town: City, model: Forecaster) -> None:
        def version(model: Forecaster, weather: Weather) -> int:
            return next(model.rows(weather, 1)).version

        yesterday = town.weather.before(town.weather.days[-1])
        newer = replace(model, trained_at=datetime(2027, 1, 1, tzinfo=UTC))
        assert version(model, yesterday) < version(newer, yesterday) < version(model, town.weather) < 2**63

    def test_the_last_days_of_weather_are_enough(self, town: City, model: Forecaster) -> None:
        recent = Weather.of(
            list(zip(town.weather.days.astype(object), *list(vars(town.weather).values())[1:], strict=True))[-20:]
        )
        rows, all_rows = list(model.rows(recent, 7)), list(model.rows(town.weather, 7))
        assert [row.kg_co2 for row in rows] == pytest.approx([row.kg_co2 for row in all_rows], abs=0.002)

    def test_the_past_is_estimated_with_its_weather_and_narrower(self, town: City, model: Forecaster) -> None:
        made = model.forecast(town.weather, town.weather.days[-1] - 2, 7)
        assert [SOURCES[source] for source in made.sources] == ["observed"] * 3 + ["normal"] * 4
        width = ((made.upper - made.lower) / made.kg)[: len(set(town.regions))]
        assert width[:, :3].max() < width[:, 4:].min()

    def test_intervals_widen_with_the_horizon_and_less_where_weather_is_forecast(
        self, town: City, model: Forecaster
    ) -> None:
        told = said(
            *(("short-term", 3, day, 2.0) for day in (21, 22, 23, 24)), *(("mid-term", 1, day, 2.0) for day in (25, 26))
        )
        bare, known = (model.forecast(town.weather, TODAY, 9, each) for each in (said(), told))
        ahead = [((made.upper - made.lower) / made.kg)[: len(set(town.regions))].mean(axis=0) for made in (bare, known)]
        assert (np.diff(ahead[0][:6]) > 0).all()
        assert (np.diff(ahead[1][:6]) > 0).all()
        assert (ahead[1][1:6] < ahead[0][1:6]).all()
        words = ["forecast"] * 4 + ["mid-term"] * 2 + ["normal"] * 3
        assert [SOURCES[source] for source in known.sources] == words

    def test_days_too_far_ahead_are_refused(self, town: City, model: Forecaster) -> None:
        with pytest.raises(ValueError, match="forecasts reach to 2026-12-04"):
            model.forecast(town.weather, town.weather.days[-1] + 10, 7)


class TestStore:
    def test_a_model_comes_back_as_it_was(self, tmp_path: Path, town: City, model: Forecaster) -> None:
        store = Store(tmp_path / "models")
        store.save(model, {"a": 1}, {"b": 2})
        assert list(store.load().rows(town.weather, 7)) == list(model.rows(town.weather, 7))
        assert store.current() == model.version == "20261121T010000Z"
        described = store.described()
        assert (described["metrics"], described["data"]) == ({"a": 1}, {"b": 2})
        assert described["features"] == list(features.NAMES)
        newer = replace(model, version="20270101T000000Z")
        store.save(newer, {}, {})
        assert store.load().version == newer.version
        assert store.load(model.version).version == model.version

    def test_the_file_holds_no_class_of_this_project(self, tmp_path: Path, model: Forecaster) -> None:
        file = Store(tmp_path).save(model, {}, {})
        raw = tmp_path / "raw"
        joblib.dump(joblib.load(file), raw)
        assert b"forecast." not in raw.read_bytes()

    def test_no_model_names_the_command(self, tmp_path: Path) -> None:
        with pytest.raises(NoModelError, match="run `make train`"):
            Store(tmp_path).load()

    def test_another_scikit_learn_is_refused(self, tmp_path: Path, model: Forecaster) -> None:
        beside = Store(tmp_path).save(model, {}, {}).with_suffix(".json")
        described = json.loads(beside.read_text())
        described["libraries"]["scikit-learn"] = "0.1"
        beside.write_text(json.dumps(described))
        with pytest.raises(NoModelError, match=r"trained with scikit-learn 0\.1, here is .*make train"):
            Store(tmp_path).load()

    def test_a_file_that_is_cut_is_refused(self, tmp_path: Path, model: Forecaster) -> None:
        file = Store(tmp_path).save(model, {}, {})
        file.write_bytes(file.read_bytes()[:500])
        with pytest.raises(NoModelError, match="can't be read"):
            Store(tmp_path).load()
