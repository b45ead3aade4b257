"""The report of a run as one self-contained HTML page: verdicts, pictures with their tables, logs, settings."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Template
    from markupsafe import Markup

    from helpers.plots.picture import Picture

SYMBOLS: dict[str, tuple[str, str]] = {  # the sign, and the class that colours it
    "holds": ("✔", "yes"),
    "holds in part": ("◐", "part"),
    "does not hold": ("✘", "no"),
    "could not be tested here": ("–", "none"),
}
FOLD_LINES = 25  # a longer log starts folded
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Claim:
    """One claim and what became of it: `claim` in the words of whoever made it, `verdict` one of SYMBOLS."""

    id: str
    claim: str
    verdict: str
    measured: Mapping[str, Any] | str
    why: str

    def __post_init__(self) -> None:
        if self.verdict not in SYMBOLS:
            raise InputError(f"{self.verdict!r} is no verdict", f"use one of: {', '.join(SYMBOLS)}")


@dataclass(frozen=True)
class Claims:
    """The verdict table."""

    claims: Sequence[Claim]


@dataclass(frozen=True)
class Text:
    """Paragraphs, parted by an empty line; `backticks` show as code. Nothing else is markup."""

    text: str


@dataclass(frozen=True)
class Table:
    """A frame with a caption; a dash stands for what was not measured."""

    frame: "pd.DataFrame"
    caption: str = ""


@dataclass(frozen=True)
class Words:
    """A table of sentences: they wrap, and `backticks` show as code."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Facts:
    """Names and values, such as a machine or the settings; inner mappings are written out as `outer.inner`."""

    values: Mapping[str, Any]
    caption: str = ""


@dataclass(frozen=True)
class Pic:
    """A picture with its table twin folded below; None where there was nothing to draw, with the reason."""

    picture: "Picture | None"
    title: str = ""
    absent_because: str = "there was nothing to draw"


@dataclass(frozen=True)
class Pre:
    """Text as it is: a log, a process tree, a command. A long one starts folded."""

    text: str
    title: str = ""


Block = Claims | Text | Table | Words | Facts | Pic | Pre


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


def render(
    title: str, sections: Sequence[Section], *, subtitle: str = "", created_at: str | None = None, note: str = ""
) -> str:
    """The page as one string (store.save_text keeps it): no script, no address outside itself, every text escaped.

    `note` stands in a box under the title (such as "a first look: ..."); `created_at` is now unless given.
    """
    stamp = created_at or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    kinds = [(section, [(type(block).__name__.lower(), block) for block in section.blocks]) for section in sections]
    return _template().render(
        title=title, subtitle=subtitle, note=note, sections=kinds, created_at=stamp, symbols=SYMBOLS
    )


@cache
def _template() -> "Template":
    import jinja2

    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters.update(
        table=_table, facts=_facts, rich=_rich, clean=_clean, is_long=_is_long, tally=_tally, measured=_measured
    )
    return environment.get_template("report.html.j2")


def _table(frame: "pd.DataFrame", caption: str = "") -> "Markup":
    from markupsafe import Markup

    from helpers.plots.picture import table_html

    return Markup(table_html(frame, caption=caption))  # it escapes every cell


def _facts(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Rows of a mapping, inner mappings flattened."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value and "at_least" not in value:
            rows += _facts(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", _value(value)))
    return rows


def _measured(measured: Mapping[str, Any] | str) -> list[tuple[str, str]]:
    """A claim's numbers as rows; a sentence is one row without a name."""
    return [("", measured)] if isinstance(measured, str) else _facts(measured)


def _value(value: Any) -> str:
    from helpers.plots.picture import cell_text

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value) or "none"
    if isinstance(value, Mapping) and not value:
        return "none"
    return _clean(cell_text(value))


def _rich(text: str) -> "Markup":
    """Escaped text with `code`, nothing else."""
    from markupsafe import Markup, escape

    pieces = _clean(text).split("`")
    if len(pieces) % 2 == 0:  # a backtick without its partner is a backtick
        pieces[-2:] = ["`".join(pieces[-2:])]
    return Markup().join(
        Markup("<code>{}</code>").format(piece) if i % 2 else escape(piece) for i, piece in enumerate(pieces)
    )


def _clean(text: str) -> str:
    """Without a terminal's colours, and without characters that HTML forbids."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def _is_long(text: str) -> bool:
    return text.count("\n") >= FOLD_LINES


def _tally(claims: Sequence[Claim]) -> list[tuple[int, str]]:
    """How many claims have each verdict, in the order of the verdicts; those that nobody has are left out."""
    found = Counter(claim.verdict for claim in claims)
    return [(found[verdict], verdict) for verdict in SYMBOLS if verdict in found]
