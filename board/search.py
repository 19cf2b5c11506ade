"""Search of places by parts of their names and addresses, by initial consonants too: `ㅂㅇㄷ` finds 범어동. Pure."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# In the order in which Unicode has their syllables, 588 of each.
_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_FIRST_SYLLABLE, _PER_INITIAL = 0xAC00, 588
_SYLLABLES = len(_INITIALS) * _PER_INITIAL


class Entry(NamedTuple):
    """What is searched: an id, and the texts that it is found by, the weightiest first."""

    id: str
    texts: Sequence[str]


def plain(text: str) -> str:
    """Text as it is compared: composed, without case and blanks."""
    return "".join(unicodedata.normalize("NFC", text).casefold().split())


def pattern(query: str) -> re.Pattern[str]:
    """What a query matches: a consonant stands for itself and for every syllable that begins with it."""
    return re.compile("".join(map(_letter, plain(query))))


def initials(text: str) -> str:
    """Each syllable as the consonant that it begins with; the rest as it is."""
    return "".join(
        _INITIALS[at // _PER_INITIAL] if 0 <= (at := ord(letter) - _FIRST_SYLLABLE) < _SYLLABLES else letter
        for letter in text
    )


def _letter(letter: str) -> str:
    if letter not in _INITIALS:
        return re.escape(letter)
    first = _FIRST_SYLLABLE + _INITIALS.index(letter) * _PER_INITIAL
    return f"[{letter}{chr(first)}-{chr(first + _PER_INITIAL - 1)}]"


class Index:
    """Entries to be searched; each kind of text is one string, so that a query is one scan of it."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        listed = list(entries)
        self._ids = [entry.id for entry in listed]
        kinds = max((len(entry.texts) for entry in listed), default=0)
        self._texts: list[tuple[str, list[int]]] = []
        for kind in range(kinds):
            lines = [plain(entry.texts[kind]) for entry in listed]
            starts, at = [], 0
            for line in lines:
                starts.append(at)
                at += len(line) + 1
            self._texts.append(("\n".join(lines), starts))

    def find(self, query: str, limit: int) -> list[str]:
        """The ids whose texts hold the query: earlier texts first, and in them what stands further in front."""
        wanted, found = pattern(query), dict[str, None]()
        if not wanted.pattern:
            return []
        for text, starts in self._texts:
            hits: dict[int, int] = {}
            for match in wanted.finditer(text):
                number = bisect_right(starts, match.start()) - 1
                hits.setdefault(number, match.start() - starts[number])
            for number in sorted(hits, key=lambda number: (hits[number], number)):
                found.setdefault(self._ids[number])
            if len(found) >= limit:
                break
        return list(found)[:limit]
