"""How the complexes that are made up are called, and how large they are."""

from collections.abc import Collection
from random import Random

_BRANDS = (
    "푸르지오 e편한세상 아이파크 힐스테이트 자이 더샵 롯데캐슬 래미안 화성파크드림 서한이다음 태왕아너스 "
    "우방아이유쉘 보성타운 청구타운 동서타운 한라하우젠트 코오롱하늘채 삼정그린코아 동일하이빌 서희스타힐스 "
    "센트레빌 영남네오빌"
)
_SUFFIXES = ("", "", "", "1단지", "2단지", "3단지", "센트럴", "리버뷰", "파크", "1차", "2차", "더퍼스트")


def stem(neighbourhood: str) -> str:
    """What a neighbourhood or village gives to names: 범어 of 범어동, 동인 of 동인동1가."""
    name = neighbourhood.rstrip("0123456789가")
    return name[:-1] if len(name) > 2 else name


def name(place: str, taken: Collection[str], draw: Random) -> str:
    """The name of a complex at a place, such as 범어롯데캐슬, that is none of those taken."""
    brands = _BRANDS.split()
    found = f"{place}{draw.choice(brands)}"
    while found in taken:
        found = f"{place}{draw.choice(brands)}{draw.choice(_SUFFIXES)}"
    return found


def households(draw: Random) -> int:
    """How many live there: most complexes are small, a few are towns of their own."""
    return min(3000, max(150, round(draw.lognormvariate(6.2, 0.65))))
