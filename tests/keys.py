"""What Flink gives a keyed Python operator, for tests without a cluster: state and timers per key, and the time."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any


class Value:
    """A value state."""

    held: Any = None

    def value(self) -> Any:
        return self.held

    def update(self, value: Any) -> None:
        self.held = value

    def clear(self) -> None:
        self.held = None


class List:
    """A list state."""

    def __init__(self) -> None:
        self.held: list[Any] = []

    def get(self) -> list[Any]:
        return list(self.held)

    def add(self, value: Any) -> None:
        self.held.append(value)

    def clear(self) -> None:
        self.held.clear()


class Count:
    """A counter among a metric group."""

    def __init__(self, counted: Counter[str], name: str) -> None:
        self._counted = counted
        self._name = name

    def inc(self, by: int = 1) -> None:
        self._counted[self._name] += by


class Keys:
    """Contexts, states and timers of an operator; states and timers outlive it, as a checkpoint's do."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.key = ""
        self.timers: set[tuple[int, str]] = set()
        self.values: dict[str, dict[str, Any]] = defaultdict(dict)
        self.counted: Counter[str] = Counter()

    def take(self, function: Any, items: Iterable[tuple[str, Any]]) -> list[Any]:
        """Elements with their keys, and what comes of them."""
        made: list[Any] = []
        for self.key, value in items:
            made += function.process_element(value, self)
        return made

    def fire(self, function: Any) -> list[Any]:
        """Go to the next timer, and fire all that are due then."""
        made: list[Any] = []
        self.now = max(self.now, min(self.timers)[0])
        for due in sorted(each for each in self.timers if each[0] <= self.now):
            self.timers.remove(due)
            at, self.key = due
            made += function.on_timer(at, self)
        return made

    # What an operator asks of its contexts.
    def timer_service(self) -> "Keys":
        return self

    def current_processing_time(self) -> int:
        return self.now

    def register_processing_time_timer(self, at: int) -> None:
        self.timers.add((at, self.key))

    def get_current_key(self) -> str:
        return self.key

    def get_state(self, descriptor: Any) -> "State":
        return State(self, descriptor.get_name(), Value)

    def get_list_state(self, descriptor: Any) -> "State":
        return State(self, descriptor.get_name(), List)

    def get_number_of_parallel_subtasks(self) -> int:
        return 1

    def get_metrics_group(self) -> "Keys":
        return self

    def add_group(self, *_: str) -> "Keys":
        return self

    def counter(self, name: str) -> Count:
        return Count(self.counted, name)


class State:
    """A state, of whichever key is current."""

    def __init__(self, keys: Keys, name: str, kind: type) -> None:
        self._keys = keys
        self._name = name
        self._kind = kind

    def __getattr__(self, attribute: str) -> Any:
        of_key = self._keys.values[self._keys.key]
        return getattr(of_key.setdefault(self._name, self._kind()), attribute)
