"""Apps that work: Python holds the GIL, so that one worker fills one core and no more."""

import json
import re
import zlib
from datetime import datetime
from decimal import Decimal
from string import Template

import jinja2
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, field_validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route


def score(turns: int) -> int:
    total = 0
    for number in range(turns):
        total += number * number & 15
    return total


loop = FastAPI(title="A Python loop in async def")


@loop.get("/")
async def count() -> dict[str, int]:
    """Limited by Python code, 10 ms of it."""
    return {"score": score(220_000)}


loop_def = FastAPI(title="A Python loop in def")


@loop_def.get("/")
def count_in_thread() -> dict[str, int]:
    """Limited by Python code: threads take turns under the GIL."""
    return {"score": score(220_000)}


RECORDS = [{"id": number, "name": f"item {number}", "tags": ["a", "b"], "price": number / 7} for number in range(4_000)]
as_json = FastAPI(title="A big object through JSON")


@as_json.get("/")
async def through_json() -> dict[str, int]:
    """Limited by writing and reading JSON."""
    return {"records": len(json.loads(json.dumps(RECORDS)))}


LOG = "\n".join(
    f"2026-11-24 host{number % 17} user{number}@example.com GET /items/{number}" for number in range(10_000)
)
VISIT = re.compile(
    r"(?P<who>[a-z0-9]+)@(?P<where>[a-z0-9.]+) (?:GET|POST) /(?P<path>[a-z/]+)(?P<id>\d+)$", re.MULTILINE
)
regex = FastAPI(title="A regular expression over a log")


@regex.get("/")
async def visits() -> dict[str, int]:
    """Limited by searching text."""
    return {"visits": sum(1 for _ in VISIT.finditer(LOG))}


class Item(BaseModel):
    id: int
    name: str
    price: Decimal
    ordered: datetime
    tags: list[str]
    isbn: str

    @field_validator("name")
    @classmethod
    def tidy(cls, name: str) -> str:
        return " ".join(word.capitalize() for word in name.split())

    @field_validator("isbn")
    @classmethod
    def add_up(cls, isbn: str) -> str:
        digits = [int(digit) for digit in isbn if digit.isdigit()]
        if len(digits) != 13 or sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10:
            raise ValueError("not an ISBN")
        return isbn


validation = FastAPI(title="A list of 500 items, validated")


@validation.post("/items")
async def receive_items(items: list[Item]) -> dict[str, str]:
    """Limited by parsing and validating what was posted."""
    return {"total": str(sum(item.price for item in items))}


TEXT = json.dumps(RECORDS).encode()  # about 300 kB
compression = FastAPI(title="Compression in async def")


@compression.get("/")
async def compress() -> dict[str, int]:
    """Limited by one core: zlib lets the GIL go, but the event loop waits for it all the same."""
    return {"bytes": len(zlib.compress(TEXT, 9))}


PAGE = jinja2.Template(
    "<table>{% for r in records %}<tr><td>{{ r.id }}</td><td>{{ r.name|title }}</td>"
    "<td>{{ '%.2f'|format(r.price) }}</td></tr>{% endfor %}</table>",
    autoescape=True,
)
template = FastAPI(title="A page made of a template")


@template.get("/", response_class=HTMLResponse)
def page() -> str:
    """Limited by rendering the template."""
    return PAGE.render(records=RECORDS[:2_000])


async def starlette_endpoint(request: Request) -> JSONResponse:
    """Limited by Python code, 15 ms of it."""
    return JSONResponse({"score": score(330_000)})


starlette = Starlette(routes=[Route("/", starlette_endpoint)])

LINE = Template("$id;$name;$price\n")


def export(request: Request) -> PlainTextResponse:
    """Limited by joining strings, in a thread."""
    return PlainTextResponse("".join(LINE.substitute(record) for record in RECORDS))


strings = Starlette(routes=[Route("/export.csv", export)])


class Model(BaseModel):
    id: int
    name: str
    tags: list[str]
    price: float


listing = FastAPI(title="A long list as response model")


@listing.get("/", response_model=list[Model])
async def all_items() -> list[dict[str, object]]:
    """Limited by FastAPI's checking and writing of the answer."""
    return RECORDS
