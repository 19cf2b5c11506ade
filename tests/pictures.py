"""`make pictures`: pictures of the board for the docs, from a stack that runs, into docs/pictures.

They are WebP, which Chromium itself writes. A page whose data are not there yet is waited for.
"""

import base64
import shutil
import sys
import time
from dataclasses import dataclass

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from conf.errors import CitystreamError, Parser, command
from conf.settings import ROOT, load

FOLDER = ROOT / "docs" / "pictures"
PATIENCE_SECONDS = 120
# WebGL by software, as on a machine without a graphics card.
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@dataclass(frozen=True)
class Picture:
    """A page as somebody sees it.

    Attributes:
        path: its address; `{id}` in it is that of the first row of the list `first`, in its column `id_of`.
        shows: selectors of what has to be there.
    """

    path: str
    shows: tuple[str, ...]
    size: tuple[int, int] = (1440, 900)
    scheme: str = "light"
    language: str = "en"
    first: str = ""
    id_of: str = ""


PICTURES = {
    "overview": Picture(
        "/", (".ticker li", "[data-card=orders_per_minute] canvas", "[data-card=sales_per_minute] canvas")
    ),
    "emission": Picture("/?layer=emission", (".ranking li", "[data-card=emission_curve] canvas"), scheme="dark"),
    "phone": Picture("/", (".ticker li", ".figure .value"), size=(390, 844), language="ko"),
    "events": Picture("/events", (".surface canvas", "main tbody tr")),
    "show": Picture("/shows/{id}", ("[data-card=show_sales] canvas",), scheme="dark", first="shows", id_of="show_id"),
    "operations": Picture("/operations", (".job[data-state=RUNNING]", "[data-card=throughput] canvas")),
}


def take(browser: Browser, url: str, picture: Picture) -> bytes:
    """A picture of a page once all that it shows is there.

    Raises:
        CitystreamError: it does not come.
    """
    path = picture.path
    if picture.first:
        rows = httpx.get(f"{url}/api/lists/{picture.first}", params={"size": 1}, timeout=30).json().get("rows")
        if not rows:
            message = f"The board at {url} has no {picture.first} yet: `make demo` brings them."
            raise CitystreamError(message)
        path = path.format(id=rows[0][picture.id_of])
    context = browser.new_context(
        viewport={"width": picture.size[0], "height": picture.size[1]},
        color_scheme="dark" if picture.scheme == "dark" else "light",
        locale={"en": "en-GB", "ko": "ko-KR"}[picture.language],
    )
    try:
        page = context.new_page()
        page.goto(url + path)
        for selector in (*picture.shows, ".fresh[data-state=live]"):
            await_it(page, selector)
        page.wait_for_timeout(4000)  # points appear on the map one after the other
        shot = context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": 82})
        return base64.b64decode(shot["data"])
    finally:
        context.close()


def await_it(page: Page, selector: str) -> None:
    """Wait until something is on the page, or say what is missing."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not page.locator(selector).count():
        if time.monotonic() > deadline:
            message = f"{page.url} has no {selector} after {PATIENCE_SECONDS} s: does `make demo` go on?"
            raise CitystreamError(message)
        page.wait_for_timeout(500)


@command
def main(arguments: list[str] | None = None) -> int:
    """Take all of them anew, or those that are named."""
    parser = Parser(prog="python -m tests.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default: all")
    names = parser.parse_args(arguments).names or list(PICTURES)
    if unknown := set(names) - PICTURES.keys():
        message = f"There is no picture {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}."
        raise CitystreamError(message)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        message = "Chromium is missing: apt install chromium."
        raise CitystreamError(message)
    url = load().board.url
    try:
        httpx.get(f"{url}/health", timeout=30)
    except httpx.TransportError:
        message = f"No board answers at {url}: `make demo` starts one."
        raise CitystreamError(message) from None
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name in names:
            found = take(browser, url, PICTURES[name])
            (FOLDER / f"{name}.webp").write_bytes(found)
            print(f"{name}.webp: {len(found) // 1024} KiB")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
