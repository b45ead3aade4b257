"""Apps with something to be found beside their limit: slow starts, growth, state, uneven shares, big answers."""

import asyncio
import fcntl
import itertools
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import FastAPI, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


def score(turns: int) -> int:
    total = 0
    for number in range(turns):
        total += number * number & 15
    return total


# --------------------------------------------------------------------------------------------- the first requests

lazy = FastAPI(title="A model that is loaded by the first request")


@cache
def model() -> dict[str, int]:
    time.sleep(0.6)  # reading the weights
    return {"weight": 3}


@lazy.get("/")
async def predict() -> dict[str, int]:
    """Limited by nothing but its wait; each worker's first request loads the model."""
    weight = model()["weight"]
    await asyncio.sleep(0.04)
    return {"answer": weight}


@cache
def index() -> int:
    return score(15_000_000)


async def search(request: Request) -> JSONResponse:
    """Limited by Python code; each worker's first request builds the index."""
    return JSONResponse({"index": index(), "score": score(220_000)})


lazy_work = Starlette(routes=[Route("/search", search)])

# ---------------------------------------------------------------------------------------------------- slow start

slow_model: dict[str, int] = {}


@asynccontextmanager
async def loading(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.sleep(1.5)
    yield


slow_lifespan = FastAPI(title="A lifespan that takes its time", lifespan=loading)


@slow_lifespan.get("/")
async def ready() -> dict[str, bool]:
    """Limited by nothing but its wait; every worker takes 1.5 s to start."""
    await asyncio.sleep(0.08)
    return {"ready": True}


def create_slowly() -> FastAPI:
    """A factory that takes 1.5 s; its app is limited by Python code."""
    time.sleep(1.5)
    app = FastAPI(title="Made slowly")

    @app.get("/")
    async def count() -> dict[str, int]:
        return {"score": score(220_000)}

    return app


# --------------------------------------------------------------------------------------------------------- growth

history: list[int] = []
drifting = FastAPI(title="A history that is walked by every request")


@drifting.get("/")
async def statistics() -> dict[str, int]:
    """Limited by Python code that takes longer with every request."""
    history.extend([1] * 200)
    return {"total": score(40_000) + sum(value * 2 for value in history)}


seen: list[str] = []


async def deduplicate(request: Request) -> JSONResponse:
    """Limited by looking through a list that gets longer with every request."""
    for number in range(20):
        key = f"{len(seen)}-{number}"
        if key not in seen:
            seen.append(key)
    return JSONResponse({"new": score(40_000) > 0})


drifting_list = Starlette(routes=[Route("/", deduplicate)])

kept: list[bytes] = []
growing = FastAPI(title="A log that is kept in memory")


@growing.get("/")
async def keep() -> dict[str, bool]:
    """Limited by nothing but its wait; keeps 20 kB of every request."""
    kept.append(b"x" * 20_000)
    await asyncio.sleep(0.05)
    return {"kept": True}


answers: dict[int, list[int]] = {}
numbers = itertools.count()
growing_cache = FastAPI(title="A cache that never forgets")


@growing_cache.get("/")
def answer() -> dict[str, int]:
    """Limited by Python code; keeps about 240 kB of every request."""
    answers[next(numbers)] = [0] * 30_000
    return {"score": score(220_000)}


# ------------------------------------------------------------------------------------------ state in each process

visits = itertools.count(1)
counter = FastAPI(title="A counter of visits")


@counter.get("/")
async def visit() -> dict[str, int]:
    """Limited by nothing but its wait; each worker counts for itself."""
    number = next(visits)
    await asyncio.sleep(0.08)
    return {"visit": number}


INSTANCE = secrets.token_hex(8)
instance = FastAPI(title="A token made at start")


@instance.get("/")
async def token() -> dict[str, str]:
    """Limited by nothing but its wait; each worker has a token of its own."""
    await asyncio.sleep(0.08)
    return {"token": INSTANCE}


KEY = secrets.token_hex(4)


async def sign(request: Request) -> JSONResponse:
    """Limited by Python code; each worker signs with a key of its own."""
    return JSONResponse({"signature": f"{KEY}-{score(220_000)}"})


signing = Starlette(routes=[Route("/sign", sign)])

# --------------------------------------------------------------------------------------------------- uneven share


@asynccontextmanager
async def first_is_warm(app: FastAPI) -> AsyncIterator[None]:
    with open(__file__) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            app.state.wait_s = 0.05
        except BlockingIOError:
            app.state.wait_s = 0.5
        yield


uneven = FastAPI(title="One worker got the cache", lifespan=first_is_warm)


@uneven.get("/")
async def cached() -> dict[str, bool]:
    """Limited by nothing but its wait, which is ten times as long in all workers but the first."""
    await asyncio.sleep(uneven.state.wait_s)
    return {"done": True}


leader = socket.socket(socket.AF_UNIX)
wait_s: float | None = None


async def bare_uneven(scope: Scope, receive: Receive, send: Send) -> None:
    """No framework; limited by nothing but its wait, which is longer in all workers but the leader."""
    global wait_s
    assert scope["type"] == "http"
    if wait_s is None:
        try:
            leader.bind(f"\0leader-{os.getppid()}")
            wait_s = 0.06
        except OSError:
            wait_s = 0.6
    await asyncio.sleep(wait_s)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"done"})


# ---------------------------------------------------------------------------------- big answers, and connections

EIGHT_MB = b"0123456789abcdef" * 500_000
large = FastAPI(title="Eight megabytes at once")


@large.get("/download")
async def download() -> Response:
    """Limited by nothing but its wait at this load; each answer is 8 MB."""
    await asyncio.sleep(0.4)
    return Response(EIGHT_MB, media_type="application/octet-stream")


ROWS = [f"{number};item {number};{number / 7:.3f}\n" for number in range(250_000)]
large_export = FastAPI(title="An export of 250,000 lines")


@large_export.get("/export.csv")
async def export() -> Response:
    """Limited by one core: making and sending 7 MB of text."""
    return Response("".join(row.upper() for row in ROWS), media_type="text/csv")


closing = FastAPI(title="Every answer closes its connection")


@closing.get("/")
async def close_after() -> Response:
    """Limited by nothing but its wait; each request needs a new connection."""
    await asyncio.sleep(0.1)
    return Response("done", headers={"connection": "close"})


async def work_and_close(request: Request) -> JSONResponse:
    """Limited by Python code; each request needs a new connection."""
    return JSONResponse({"score": score(220_000)}, headers={"connection": "close"})


closing_work = Starlette(routes=[Route("/", work_and_close)])
