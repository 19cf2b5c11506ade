"""The board in a real Chromium, over a database of its own: every page with data and without, live, in both languages.

Pictures of all pages are left in `build/board`. Chromium is Debian's package; without it these tests say so and skip.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg2
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from psycopg2 import sql

from board.database import Database
from board.pages import PAGES
from board.tables import sql_of
from board.view import views
from conf.settings import ROOT, Settings, load
from sinks import postgres
from tests import board, slate

pytestmark = [pytest.mark.postgres]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PICTURES = ROOT / "build" / "board"
# WebGL by software, as on a machine without a graphics card.
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE = 60_000
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt install chromium")
A_COMPLEX, A_REGION = "A70204020", "27260"


@pytest.fixture(scope="module")
def database(servers: None) -> Iterator[str]:
    """A database of this module, with all migrations; its URL. The servers' own is prepared before it is hidden."""
    settings = load()
    base = settings.postgres.url.get_secret_value()
    name = f"board_{os.getpid()}"
    connection = psycopg2.connect(base)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield urlsplit(base)._replace(path=f"/{name}").geturl()
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    connection.close()


@pytest.fixture(scope="module")
def settings(database: str) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSTGRES_URL", database)
        own = load()
        postgres.migrate(own)
        yield own


class Service:
    """`python -m board` as a process of its own, on a free port."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._environment = environment
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._log = folder / "board.log"
        self.start()

    def start(self) -> None:
        with self._log.open("a") as log:
            command = [sys.executable, "-m", "board"]
            environment = {**os.environ, "BOARD_URL": self.url, **self._environment}
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"{self.url}/health", timeout=5)
            except httpx.TransportError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.2)
            else:
                return

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture(scope="module")
def service(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("board"))
    yield service
    service.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def until(page: Page, condition: str, argument: Any = None) -> None:
    """Wait until an expression, or a function of `argument`, holds. The page's own policy forbids waiting inside it."""
    slate.await_that(lambda: page.evaluate(condition, argument), PATIENCE / 1000, condition)


# What reaches beyond its card, and is not on a map or in a part that scrolls by itself or shortens its text.
STICKING_OUT = """[...document.querySelectorAll(".card *")].filter(each => {
    const card = each.closest(".card");
    if (each.getBoundingClientRect().right <= card.getBoundingClientRect().right + 1) return false;
    for (let above = each.parentElement; above !== card; above = above.parentElement) {
        const { overflowX, textOverflow } = getComputedStyle(above);
        if (["auto", "scroll"].includes(overflowX) || textOverflow === "ellipsis") return false;
    }
    return !each.closest(".maplibregl-map");
}).map(each => `${each.tagName}.${each.className}`)"""


class Look:
    """A page as somebody has it open, and what it did that it should not."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        options = {"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", "color_scheme": "light", **options}
        self._context = browser.new_context(**options)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.url = url
        self.wrong: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.wrong.append(f"it asked {request.url}")

    def __enter__(self) -> "Look":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def open(self, path: str) -> Page:
        """Open a page, and wait until nothing of it loads any more."""
        self.page.goto(self.url + path)
        self.page.wait_for_selector("main h1", state="attached")
        until(self.page, "!document.querySelector('main .state.loading')")
        return self.page

    def picture(self, name: str) -> None:
        """Keep what it looks like; it is as wide as the window, and did nothing that it should not."""
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
        beyond = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond <= 0, f"{name} is {beyond} px wider than its window"
        assert self.page.evaluate(STICKING_OUT) == [], name
        assert self.wrong == [], name


def addresses(show: str) -> dict[str, str]:
    """Every page that there is, by a name for its picture."""
    found = {page.strip("/") or "overview": page for page in (*PAGES, *(p for v in views().values() for p in v.pages))}
    return {**found, "region": f"/regions/{A_REGION}", "complex": f"/complexes/{A_COMPLEX}", "show": f"/shows/{show}"}


@pytest.fixture
def filled(settings: Settings) -> str:
    """Tables with a city's hour in them; the id of a show."""
    board.empty(settings)
    board.fill(settings)
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT show_id FROM tickets GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
        return str((cursor.fetchone() or ("",))[0])


def sees(page: Page, text: str) -> None:
    until(page, "text => document.querySelector('main').innerText.includes(text)", text)


def loaded(page: Page) -> None:
    """All that the overview shows has come."""
    page.wait_for_selector(".surface canvas.points", state="attached")
    for card in ("orders_per_minute", "emission_curve", "sales_per_minute"):
        page.wait_for_selector(f"[data-card={card}] canvas")
    page.wait_for_selector(".ranking li")


@needs_chromium
def test_every_page_with_data(service: Service, browser: Browser, filled: str) -> None:
    with Look(browser, service.url) as look:
        for name, path in addresses(filled).items():
            page = look.open(path)
            if name == "overview":
                loaded(page)
            look.picture(f"data-{name}")
        for name in ("pay", "emission", "sales"):
            loaded(look.open(f"/?layer={name}"))
            look.picture(f"data-layer-{name}")
        page = look.open(f"/complexes/{A_COMPLEX}")
        page.wait_for_selector("[data-card=emission_per_item] canvas")
        assert page.title().endswith("· Citystream")


@needs_chromium
def test_every_page_without_data(browser: Browser, settings: Settings, tmp_path: Path) -> None:
    board.empty(settings)
    service = Service(tmp_path)  # one that has never seen any
    with contextlib.closing(service), Look(browser, service.url) as look:
        for name, path in addresses("S1").items():
            if name == "show":
                continue
            page = look.open(path)
            if name == "overview":
                page.wait_for_selector(".state.empty")
            look.picture(f"empty-{name}")
        page = look.open("/shows/S1")
        sees(page, "Nothing is known of S1")
        page = look.open("/nowhere")
        sees(page, "There is no such page")


@needs_chromium
@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(360, 740, "light"), (820, 1180, "dark"), (3840, 2160, "dark")]
)
def test_from_a_phone_to_a_wall(
    service: Service, browser: Browser, filled: str, width: int, height: int, scheme: str
) -> None:
    size = {"width": width, "height": height}
    with Look(browser, service.url, viewport=size, color_scheme=scheme, locale="ko-KR") as look:
        for name, path in addresses(filled).items():
            page = look.open(path)
            if name == "overview":
                loaded(page)
            look.picture(f"{width}-{name}")


@needs_chromium
def test_an_order_is_there_within_seconds_and_hostile_text_is_text(
    service: Service, browser: Browser, settings: Settings, filled: str
) -> None:
    with Look(browser, service.url) as look:
        page = look.open("/")
        loaded(page)
        at = datetime.now(UTC)
        with postgres.connect(settings) as connection, connection.cursor() as cursor:
            board.insert(cursor, "delivery_information", [board.order(at, 1, order_id="<b>live</b>", **board.HOSTILE)])
            cursor.execute(
                "UPDATE charge_per_day SET orders = 987654 WHERE day = (SELECT max(day) FROM charge_per_day)"
            )
        sees(page, board.HOSTILE["menu"])
        sees(page, "987,654")
        page.wait_for_timeout(1500)
        look.picture("live-hostile")
        page = look.open("/orders?q=live")
        sees(page, "<b>live</b>")
        look.picture("list-hostile")
        assert "hacked" not in page.title()


@needs_chromium
def test_languages_keyboard_and_theme(service: Service, browser: Browser, filled: str) -> None:
    with Look(browser, service.url) as look:
        page = look.open("/")
        loaded(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.get_by_role("radio", name="Orders").focus()
        page.keyboard.press("ArrowRight")
        assert page.get_by_role("radio", name="Pay").get_attribute("aria-checked") == "true"
        sees(page, "Pay of orders on")
        page.get_by_role("button", name="Light or dark").click()
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
        page.get_by_role("link", name="Complexes", exact=True).click()
        page.get_by_role("searchbox").fill("ㅊㅅ")
        sees(page, "침산")
        page.get_by_role("searchbox").fill("침산")
        until(page, "document.querySelectorAll('main tbody tr').length < 20")
        page.locator("main tbody a").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/complexes/A*")
        until(page, "document.activeElement.tagName === 'H1'")
        page.go_back()
        page.wait_for_url("**/complexes")
        page.get_by_role("button", name="한국어").click()
        page.wait_for_selector("html[lang=ko]", state="attached")
        sees(page, "세대")
        assert look.wrong == []


@needs_chromium
def test_lists_sort_filter_and_page(service: Service, browser: Browser, filled: str) -> None:
    with Look(browser, service.url) as look:
        page = look.open("/orders")
        page.get_by_role("button", name="Pay", exact=True).click()
        page.wait_for_selector("th[aria-sort=descending] >> text=Pay")
        first = page.locator("tbody tr").first.inner_text()
        page.get_by_role("button", name="Next").click()
        until(page, "first => document.querySelector('main tbody tr').innerText !== first", first)
        page.get_by_label("District").select_option(A_REGION)
        page.get_by_role("button", name="Show", exact=True).click()
        until(
            page, "[...document.querySelectorAll('main tbody tr')].every(row => row.innerText.includes('Suseong-gu'))"
        )
        assert f"region={A_REGION}" in page.url
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
        assert lines[0].startswith("ordered_at,order_id")
        assert all(A_REGION in line for line in lines[1:])
        assert look.wrong == []


@needs_chromium
def test_a_token_opens_the_board_and_what_can_be_done_there(
    browser: Browser, settings: Settings, filled: str, tmp_path: Path
) -> None:
    token = "a-token-for-this-test"  # noqa: S105
    service = Service(tmp_path, BOARD_TOKEN=token, CITYSTREAM__BOARD__CLOSED="true")
    with contextlib.closing(service), Look(browser, service.url, locale="ko-KR") as look:
        page = look.page
        page.goto(f"{service.url}/operations")
        sees(page, "읽기가 닫혀 있습니다")
        page.get_by_label("토큰").fill("a-token-of-nobody")
        page.keyboard.press("Enter")
        sees(page, "토큰이 맞지 않습니다")
        page.get_by_label("토큰").fill(token)
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-card=scaling] select")
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
        assert token not in kept
        assert "citystream_session" not in kept
        # Reading was refused until then, which the browser says by itself.
        look.wrong = [each for each in look.wrong if "401" not in each]
        look.picture("unlocked-operations")
        page.get_by_role("link", name="처리 못 한 기록").first.click()
        page.wait_for_selector("[data-card=redrive] form")
        page.get_by_role("button", name="잠그기").click()
        page.wait_for_selector("[data-card=redrive] input[type=password]")
        page.reload()
        sees(page, "읽기가 닫혀 있습니다")


@needs_chromium
def test_without_a_token_the_page_says_that_nothing_can_be_done(
    browser: Browser, settings: Settings, tmp_path: Path
) -> None:
    service = Service(tmp_path, CITYSTREAM__STACK__DIRECTORY=str(tmp_path))  # a stack that made none
    with contextlib.closing(service), Look(browser, service.url) as look:
        sees(look.open("/operations"), "Actions are off")
        assert not look.page.get_by_text("Lock", exact=True).is_visible()
        sees(look.open("/letters"), "Actions are off")


@needs_chromium
def test_a_service_that_is_away_and_comes_back(service: Service, browser: Browser, filled: str) -> None:
    with Look(browser, service.url) as look:
        page = look.open("/")
        loaded(page)
        figure = page.locator(".figure .value").first.inner_text()
        service.close()
        page.wait_for_selector(".fresh[data-state=away]")
        assert "does not answer" in page.locator("#banner").inner_text()
        assert page.locator(".figure .value").first.inner_text() == figure
        page.screenshot(path=PICTURES / "away.png")
        service.start()
        page.wait_for_selector(".fresh:not([data-state=away])")
        until(page, "!document.querySelector('#banner').innerText.includes('does not answer. What')")


@needs_chromium
def test_a_database_that_is_away_is_said_and_comes_back(
    service: Service, browser: Browser, settings: Settings, database: str, filled: str
) -> None:
    name = urlsplit(database).path[1:]
    owner = psycopg2.connect(urlsplit(database)._replace(path="/citystream").geturl())
    owner.autocommit = True
    with Look(browser, service.url) as look, owner.cursor() as cursor:
        page = look.open("/")
        loaded(page)
        cursor.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        until(page, "document.querySelector('#banner').innerText.includes('PostgreSQL')")
        assert "₩" in page.locator(".figure .value").nth(1).inner_text()
        page.screenshot(path=PICTURES / "database-away.png")
        cursor.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))
        until(page, "!document.querySelector('#banner').innerText.includes('PostgreSQL')")
    owner.close()


def plans(settings: Settings, query: str, parameters: dict[str, Any]) -> list[str]:
    """The lines of a query's plan."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + query, parameters)
        return [line for (line,) in cursor.fetchall()]


def test_no_query_scans_a_ledger(settings: Settings, filled: str) -> None:
    """Ledgers of some size, with a week of rows behind the newest hour."""
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_information SELECT 'P' || n, now() - interval '7 days' + n * interval '2 s', 1, 's',"
            " '한식', 'm', 9000, 0, '카드', NULL, '27110', 'a', 35.8, 128.5 FROM generate_series(1, 300000) n"
        )
        cursor.execute(
            "INSERT INTO tickets SELECT 'sale', 'P' || n, now() - interval '7 days' + n * interval '2 s',"
            " 'S' || n % 400, 'n', 'v', '27110', 'A', 9000, 'b', 'web' FROM generate_series(1, 300000) n"
        )
        cursor.execute(
            "INSERT INTO ticket_sales_per_minute SELECT 'S' || n % 400,"
            " date_trunc('minute', now()) - n / 20 * interval '1 min', 1, 0, 1, 1, now()"
            " FROM generate_series(1, 100000) n ON CONFLICT DO NOTHING"
        )
        cursor.execute(
            "INSERT INTO ticket_sales_per_show SELECT current_date - n / 400, 'S' || n % 400, 1, 0, 1, 1, now()"
            " FROM generate_series(1, 100000) n ON CONFLICT DO NOTHING"
        )
    connection = psycopg2.connect(settings.postgres.url.get_secret_value())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.close()
    of_one = {"id": filled, "from": None, "to": None}
    asked = [
        (query.sql, {"seconds": seconds})
        for view in views().values()
        for query in view.sections.values()
        for seconds in (query.window or 1, query.edge or 1)
    ]
    asked += [
        (query, of_one) for view in views().values() for queries in view.details.values() for query in queries.values()
    ]
    hour = {"from": "now", "to": "tomorrow", "q": "x", "limit": 51, "offset": 0, "f_region": "27110"}
    for view in views().values():
        for listing in view.listings.values():
            filters = [each for each in listing.filters if each == "region"]
            query = sql_of(listing, sort=listing.order, descending=True, filters=filters, search=True)
            asked.append((query, hour))
    seen = 0
    large = "delivery_information|tickets|ticket_sales_per_minute|ticket_sales_per_show"
    for query, parameters in asked:
        try:
            plan = plans(settings, query, parameters)
        except psycopg2.errors.UndefinedTable:  # of a stream that has not landed
            continue
        seen += 1
        scans = [line for line in plan if re.search(rf"Seq Scan on ({large})\b", line)]
        assert scans == [], query
    assert seen > 30


def test_a_connection_that_was_cut_is_made_anew(settings: Settings) -> None:
    database = Database(load)
    (row,) = database.rows("SELECT pg_backend_pid() AS pid")
    with postgres.connect(settings) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", (row["pid"],))
    assert database.rows("SELECT 1::numeric AS one") == [{"one": 1.0}]
    database.close()
