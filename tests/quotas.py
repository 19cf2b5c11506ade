"""The contract of `apis.quota.Quotas`, which every store has to keep: run against SQLite and against PostgreSQL."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from apis.calendar import KOREA
from apis.quota import Quota, Quotas, Window

NOW = datetime(2026, 11, 21, 14, 59, tzinfo=UTC)  # a minute before a day ends in Korea
windows = st.builds(
    lambda per, minutes: Quota(1, per).window(NOW + timedelta(minutes=minutes), KOREA),
    st.sampled_from(["day", "minute"]),
    st.integers(-3, 3),
)
holders = st.sampled_from(["one", "another"])
operations = st.sampled_from(["energy", "basis"])
moments = st.integers(-2, 2).map(lambda hours: NOW + timedelta(hours=hours))


class Contract(RuleBasedStateMachine):
    """Any steps on a store and on a plain count say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.quotas = self.store()
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.until: dict[tuple[str, str], datetime] = {}
        self.windows: dict[str, Window] = {}

    def store(self) -> Quotas:
        """An empty one."""
        raise NotImplementedError

    @rule(window=windows, holder=holders, operation=operations, quota=st.integers(0, 4))
    def spend(self, window: Window, holder: str, operation: str, quota: int) -> None:
        counted = (window.name, holder, operation)
        self.windows[window.name] = window
        assert self.quotas.spend(window, holder, operation, quota) == (self.calls[counted] < quota)
        self.calls[counted] += self.calls[counted] < quota

    @rule(window=windows, holder=holders, operation=operations)
    def refund(self, window: Window, holder: str, operation: str) -> None:
        self.windows[window.name] = window
        self.quotas.refund(window, holder, operation)
        self.calls[window.name, holder, operation] = max(0, self.calls[window.name, holder, operation] - 1)

    @rule(holder=holders, operation=operations, until=moments)
    def refuse(self, holder: str, operation: str, until: datetime) -> None:
        self.quotas.refuse(holder, operation, until)
        self.until[holder, operation] = max(until, self.until.get((holder, operation), until))

    @rule(holder=holders, operation=operations, now=moments)
    def ask(self, holder: str, operation: str, now: datetime) -> None:
        until = self.until.get((holder, operation))
        assert self.quotas.refused_until(holder, operation, now) == (until if until and until > now else None)

    @invariant()
    def counts_agree(self) -> None:
        for (name, holder, operation), calls in self.calls.items():
            assert self.quotas.spent(self.windows[name], holder, operation) == calls
