"""What axe-core, run in the page itself, has to say of it: the rules of WCAG 2 at level A and AA."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
GRAVE = ("serious", "critical")


def faults(page: Page, within: str | None = None) -> list[str]:
    """The serious and critical findings, a line for each element; `within` is the selector of a part of the page."""
    options = {"runOnly": {"type": "tag", "values": RULES}}
    found = Axe().run(page, context=within, options=options).response
    assert found["passes"], "axe has looked at nothing"
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]} - {' '.join(node['failureSummary'].split())[:200]}"
        for rule in found["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]
