"""The report in a real browser: it is clicked through, by pointer and by keyboard."""

import shutil

import pytest
from corpusmill.report.page import write_report

from tests.report.small_run import make_run

pytestmark = pytest.mark.browser
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return "file://" + write_report(make_run(tmp_path_factory.mktemp("browser")))


@pytest.fixture
def opened(browser, address):
    """Opens the page at a width; afterwards there were no messages and no other requests."""
    contexts, said, asked = [], [], []

    def open_at(width, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert said == []
    assert set(asked) == {address}


@pytest.mark.parametrize("width", [1280, 900, 700, 390, 320])
def test_nothing_sticks_out_even_with_everything_open(opened, width):
    page = opened(width)
    page.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """(width) => [...document.querySelectorAll("main *:not(nav *)")].filter((item) => {
            const box = item.getBoundingClientRect();
            return box.width && (box.right > width + 1 || box.left < -1);
        }).map((item) => item.outerHTML.slice(0, 80))""",
        width,
    )
    assert outside == []


def test_a_phone_gets_the_narrow_charts_and_tables_as_lists(opened):
    page = opened(390)
    assert page.locator("#funnel svg.narrow").is_visible()
    assert not page.locator("#funnel svg.wide").is_visible()
    assert not page.locator("#stages thead").is_visible()
    size = page.evaluate("getComputedStyle(document.querySelector('#funnel text')).fontSize")
    assert float(size.removesuffix("px")) >= 11


def test_the_colours_follow_the_system_and_the_button(opened):
    page = opened(1280, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.click("#theme")  # light
    light = page.evaluate(paper)
    assert light != dark
    page.click("#theme")  # dark
    assert page.evaluate(paper) == dark
    page.click("#theme")  # as the system
    assert page.evaluate("document.documentElement.dataset.theme") is None


def test_a_head_sorts_its_table_both_ways(opened):
    page = opened(1280)
    names = "#stages tbody th"
    page.click("#stages thead button:text('kept')")
    assert page.locator("#stages th[aria-sort=descending]").count() == 1
    falling = [text.split()[0] for text in page.locator(names).all_inner_texts()]
    page.click("#stages thead button:text('kept')")
    rising = [text.split()[0] for text in page.locator(names).all_inner_texts()]
    assert falling == ["extract", "filter", "dedup"]
    assert rising == falling[::-1]


def test_every_entry_of_the_menu_leads_to_its_section(opened):
    page = opened(1280)
    entries = page.locator("nav a")
    assert entries.count() >= 6
    for number in range(entries.count()):
        entries.nth(number).click()
        target = entries.nth(number).get_attribute("href")
        page.wait_for_function(
            """(target) => {
                const top = document.querySelector(target).getBoundingClientRect().top;
                const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
                return (top >= 0 && top < 120) || end;
            }""",
            arg=target,
        )


def test_the_page_works_by_keyboard(opened):
    page = opened(1280)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    summary = page.locator("#dropped summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("#dropped details").first.evaluate("(item) => item.open")
    assert page.locator("#dropped .text").first.is_visible()
    page.locator("#stages thead button").first.focus()
    page.keyboard.press("Space")
    assert page.locator("#stages th[aria-sort]").count() == 1
