"""The shows that tickets are sold for; part of a plan: the same seed gives the same shows."""

import functools
import random
from dataclasses import dataclass

from conf.city.venues import Venue, venues

# What is on, and where: the least and the most seats of a venue that holds it.
_KINDS: dict[tuple[str, ...], tuple[int, int]] = {
    ("오페라 라 트라비아타", "오페라 투란도트", "뮤지컬 맘마미아", "뮤지컬 시카고", "발레 백조의 호수"): (900, 2_000),
    ("교향악단 정기연주회", "실내악의 밤", "피아노 리사이틀", "국악 한마당", "어린이 인형극"): (300, 1_300),
    ("봄 콘서트", "여름 록 페스티벌", "전국 투어 콘서트", "프로야구 홈경기", "프로축구 홈경기"): (10_000, 70_000),
}
_PRICES = (30_000, 44_000, 55_000, 77_000, 99_000, 132_000)
# Rows of so many seats, blocks of so many rows.
_ROW, _BLOCK = 40, 25


@dataclass(frozen=True)
class Show:
    """A show.

    Attributes:
        show_id: Its id; the seed stands in it.
        name: What is on.
        venue: Where.
        prices: Of the best seats first, in KRW.
        step: Seats are sold in the order of its multiples: coprime to their number.
    """

    show_id: str
    name: str
    venue: Venue
    prices: tuple[int, ...]
    step: int

    def seat(self, number: int) -> tuple[str, int]:
        """The seat that is sold as number so and so, from 0, and its price in KRW; each of the venue's seats once."""
        place = number * self.step % self.venue.seats
        block, row, chair = place // (_ROW * _BLOCK), place // _ROW % _BLOCK, place % _ROW
        price = self.prices[place * len(self.prices) // self.venue.seats]
        return f"{_letters(block)}-{row + 1:02d}-{chair + 1:02d}", price


def _letters(number: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    return (_letters(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


@functools.lru_cache(maxsize=4096)
def show(seed: int, number: int) -> Show:
    """The show that goes on sale as number so and so; negative numbers are those that were on sale before the run."""
    draw = random.Random(f"citystream show {seed} {number}")
    names, (least, most) = draw.choice(list(_KINDS.items()))
    venue = draw.choice([each for each in venues() if least <= each.seats <= most])
    step = 1
    while step == 1 or any(step % p == 0 and venue.seats % p == 0 for p in range(2, step + 1)):
        step = draw.randrange(7, 97, 2)
    best = draw.randrange(2, len(_PRICES))
    return Show(
        show_id=f"S{seed:x}-{number + 1000:04d}",
        name=f"{draw.choice(names)} {draw.randint(1, 40)}회",
        venue=venue,
        prices=tuple(reversed(_PRICES[best - 2 : best + 1])),
        step=step,
    )
