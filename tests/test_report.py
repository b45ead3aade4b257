import re
import tomllib
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser

from helpers.errors import InputError
from helpers.plots.cpu import cpu_plot
from helpers.report import SYMBOLS, Claim, Claims, Facts, Pic, Pre, Section, Table, Text, Words, render
from tests.accessible import faults

pytestmark = pytest.mark.calm

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """Reads a page strictly: every tag closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open:
            self.said.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        return " ".join(data for tag, data in self.said if tag not in ("style", "title"))


def claim(number: int, verdict: str, measured: Any = "nothing was measured") -> Claim:
    return Claim(f"C{number}", f"claim number {number}", verdict, measured, "Because `x < 1`.")


CPU = cpu_plot([{"label": "1 worker", "workers": {7: 0.98}, "idle": 1.02}], cores=2)
MEASURED = {"users": 180, "p95_ms": {"at_least": 1000}, "pids": [1, 2], "held": True, "missing": None}
LOG = "\n".join(f"line {i} \x1b[32mGET\x1b[0m <script>alert({i})</script> & \x00" for i in range(60))


@pytest.fixture(scope="module")
def html() -> str:
    claims = [claim(i, verdict, MEASURED) for i, verdict in enumerate(SYMBOLS, start=1)] + [claim(9, "holds")]
    return render(
        "The <post>, tested",
        [
            Section("The claims", [Claims(claims)]),
            Section("Pictures", [Text("One `sweep`.\n\nTwo <b>."), Pic(CPU, "CPU"), Pic(None, "p95", "all was void")]),
            Section(
                "Processes", [Pre("4700 python\n└─ 4701 worker", "The tree"), Pre(LOG, "The log"), Pre("", "`ps -aF`")]
            ),
            Section("Words", [Words(["what", "why"], [["`a`", "b"]])]),
            Section("Machine", [Facts({"cpus": {"usable": 2, "quota": None}, "names": [], "none": {}}, "The machine")]),
            Section(
                "Numbers", [Table(pd.DataFrame({"cell": ["<1>"], "req/s": [None]}), "By cell"), Table(pd.DataFrame())]
            ),
        ],
        subtitle="`python3 -m helpers reproduce`",
        note="A first look.",
        created_at="2026-11-23 18:00 UTC",
    )


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_page_is_one_file_without_script_or_outside_address(html: str, page: Page) -> None:
    assert re.findall(r"(?:https?:)?//\w", html) == []
    assert "@import" not in html
    assert page.all("script") == []
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#"))


def test_every_image_has_its_alternative_text_and_its_table(page: Page) -> None:
    assert [image["alt"] for image in page.all("img")] == [CPU.alt]
    assert "The same as a table" in page.words


def test_page_has_language_title_and_headings_without_a_gap(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert ("title", "The <post>, tested") in page.said
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_every_link_of_the_contents_has_its_target(page: Page) -> None:
    targets = {attributes.get("id") for _, attributes in page.tags}
    links = [str(link["href"]) for link in page.all("a")]
    assert len(links) == 6
    assert {link[1:] for link in links} <= targets


def test_header_cells_say_what_they_head(page: Page) -> None:
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))


def test_a_verdict_is_told_by_word_and_sign_as_well_as_colour(page: Page) -> None:
    for verdict, (sign, _) in SYMBOLS.items():
        assert verdict in page.words
        assert sign in page.words
    assert "2 ✔ holds" in page.words  # the tally


def test_measured_numbers_are_written_out_and_what_is_missing_is_a_dash(page: Page) -> None:
    assert "users 180 p95_ms ≥ 1,000 pids 1, 2 held yes missing –" in page.words
    assert "cpus.usable 2 cpus.quota – names none none none" in page.words


def test_nothing_in_a_log_becomes_markup(html: str, page: Page) -> None:
    assert "line 3 GET <script>alert(3)</script> & \N{REPLACEMENT CHARACTER}" in page.words
    assert "\x1b" not in html
    assert "&lt;script&gt;" in html


def test_a_long_log_is_folded_and_a_short_one_is_not(page: Page) -> None:
    assert "The log (60 lines)" in page.words
    assert ("h3", "The tree") in page.said
    assert ("code", "ps -aF") in page.said


def test_code_is_marked_in_text_and_a_lone_backtick_is_itself() -> None:
    page = Page(render("t", [Section("s", [Text("run `a < b` now"), Text("a ` b"), Text("`x` and ` y")])]))
    assert [data for tag, data in page.said if tag == "code"] == ["a < b", "x"]
    assert "a ` b" in page.words
    assert "and ` y" in page.words


def test_absent_pictures_and_empty_parts_are_said_not_left_out(page: Page) -> None:
    assert "p95: no picture, because all was void." in page.words
    assert Page(render("t", [])).words
    assert Page(render("t", [Section("s", [Claims([]), Text(""), Facts({}), Pic(None)])])).words


def test_text_and_ground_differ_enough_in_both_themes(html: str) -> None:
    """WCAG AA: 4.5 to 1 for every colour that words are written in, on the page and on a card."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    themes = re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for ground in ("page", "card"):
            for ink in ("ink", "soft", "link", "yes", "part", "no", "none"):
                dark, light = sorted([luminance(colours[ground]), luminance(colours[ink])])
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (ground, ink)
        dark, light = sorted([luminance(colours["note"]), luminance(colours["ink"])])
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_axe_has_no_serious_word_to_say_in_either_theme(browser: Browser, html: str) -> None:
    page = browser.new_page()
    page.set_content(html)
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert faults(page) == []
    page.close()


def test_an_unknown_verdict_is_refused() -> None:
    with pytest.raises(InputError, match="'maybe' is no verdict"):
        claim(1, "maybe")


def test_the_template_is_part_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    assert "*.j2" in project["tool"]["setuptools"]["package-data"]["helpers"]
