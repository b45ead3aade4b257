"""The nine claims of the post as a notebook shows them: the newest saved verdicts, with a link to their report."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from helpers import store
from helpers.errors import StoreError
from helpers.teach.widgets import html


def verdicts(folder: Path | str | None = None) -> Any:
    """The newest saved verdicts on the post's nine claims, with the report; words where there are none."""
    try:
        saved = store.latest("reproduce", folder=folder)
        rows = "".join(_claim_row(claim) for claim in saved["claims"])
    except StoreError as error:
        return html(
            f"<p>{escape(error.message)}. <code>python3 -m helpers reproduce</code> tests all nine claims, or the last"
            " cell of this notebook does.</p>"
        )
    except (KeyError, TypeError):
        return html("<p>The saved verdicts are of another format; run <code>python3 -m helpers reproduce</code>.</p>")
    left = 'style="text-align:left"'
    head = f"<tr><th></th><th {left}>claim</th><th {left}>verdict</th><th {left}>why</th></tr>"
    look = ", a first look" if saved.get("first_look") else ""
    told = f"<p>Measured {escape(str(saved.get('created_at', '')))}{look}. {_report_link(saved.get('report'))}</p>"
    return html(f"<table>{head}{rows}</table>{told}")


def _claim_row(claim: Mapping[str, Any]) -> str:
    cells = [claim["id"], claim["claim"], claim["verdict"], claim["why"]]
    texts = "".join(f'<td style="text-align:left">{_with_code(str(cell))}</td>' for cell in cells)
    return f"<tr>{texts}</tr>"


def _with_code(text: str) -> str:
    """Escaped text, with `code` between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _report_link(report: Any) -> str:
    if not isinstance(report, str) or not (store.RESULTS.parent / report).is_file():
        return ""
    return f'The report: <a href="../{escape(report)}" target="_blank">{escape(report)}</a>'
