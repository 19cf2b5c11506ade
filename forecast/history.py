"""What is known of emission on a given day: complexes and regions per household, as far as months were published."""

from dataclasses import dataclass

import numpy as np

from forecast.weather import Days, Flags, Floats

REGION, COMPLEX = "region", "complex"
# A complex this many months behind the newest has left the data; it counts no longer.
GONE_AFTER_MONTHS = 6
# The complexes known on a day are their region if they are this share of its households: those that enter early, or
# alone, use more or less than the others.
WHOLE = 0.9


@dataclass(frozen=True)
class Entities:
    """Regions and complexes side by side.

    Attributes:
        scopes, ids: `region` or `complex`, and the code or id of each.
        households: whose emission a forecast is for.
        per_household: kg CO2 per household and day, an array (entities, days); NaN where unknown.
    """

    scopes: list[str]
    ids: list[str]
    households: Floats
    per_household: Floats


@dataclass(frozen=True)
class History:
    """Daily emission of complexes, on the days of the weather.

    Attributes:
        days: consecutive.
        ids, regions: each complex's id and its region's code.
        households: of each complex, above 0.
        kg: kg CO2, an array (complexes, days); NaN where unknown. Only whole months, and only months in which every
            item was entered that the complex usually has: others measure something else.
    """

    days: Days
    ids: list[str]
    regions: list[str]
    households: Floats
    kg: Floats

    @property
    def months(self) -> Days:
        """The month of each day."""
        return self.days.astype("datetime64[M]")

    def behind(self) -> Floats:
        """How many months each complex's newest value is behind the month of the day after the last; inf: none."""
        running = (self.days[-1] + 1).astype("datetime64[M]")
        known = np.isfinite(self.kg)
        newest = self.days[known.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)].astype("datetime64[M]")
        return np.where(known.any(axis=1), (running - newest).astype(float), np.inf)

    def current(self) -> "History":
        """Without complexes that have left the data, or never were in it."""
        behind = self.behind()
        chosen = np.flatnonzero(behind <= behind.min(initial=np.inf) + GONE_AFTER_MONTHS)
        chosen = chosen[np.isfinite(behind[chosen])]
        return History(
            self.days,
            [self.ids[i] for i in chosen],
            [self.regions[i] for i in chosen],
            self.households[chosen],
            self.kg[chosen],
        )

    def as_of(self, day: np.datetime64, behind: Floats) -> "History":
        """What was known on the morning of `day`, each complex as many months behind as `behind` says."""
        end = int(np.searchsorted(self.days, day))
        unknown = self.months[:end] > (day.astype("datetime64[M]") - behind.astype(int))[:, None]
        return History(
            self.days[:end], self.ids, self.regions, self.households, np.where(unknown, np.nan, self.kg[:, :end])
        )

    @property
    def codes(self) -> list[str]:
        """The regions' codes, in order."""
        return sorted(set(self.regions))

    def members(self) -> Flags:
        """Which complexes are in each region, an array (regions, complexes)."""
        return np.array([[region == code for region in self.regions] for code in self.codes])

    def entities(self) -> Entities:
        """Regions, then complexes. A region's figure of a day is that of the complexes that are known on that day."""
        member = self.members().astype(float)
        households = member @ (self.households[:, None] * np.isfinite(self.kg))
        whole = households >= WHOLE * (member @ self.households)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            regions = np.where(whole, member @ np.nan_to_num(self.kg) / households, np.nan)
        return Entities(
            [REGION] * len(self.codes) + [COMPLEX] * len(self.ids),
            self.codes + self.ids,
            np.concatenate([member @ self.households, self.households]),
            np.concatenate([regions, self.kg / self.households[:, None]]),
        )
