"""Apps whose event loop is blocked: each request waits without handing the loop to the others."""

import asyncio
import itertools
import os
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

sleeping = FastAPI(title="time.sleep in async def")


@sleeping.get("/")
async def sleep() -> dict[str, bool]:
    """Limited by time.sleep in the event loop."""
    time.sleep(0.03)
    return {"done": True}


requests_style = FastAPI(title="A blocking HTTP client in async def")
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@requests_style.get("/")
async def ask() -> dict[str, int]:
    """Limited by a client that blocks the event loop until the other service has answered."""
    with direct.open(f"{os.environ['DOWNSTREAM_URL']}/query?ms=30", timeout=60) as answer:
        return {"status": answer.status}


sqlite = FastAPI(title="A slow SQL query in async def")


def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.create_function("wait", 1, time.sleep)
    return connection


@sqlite.get("/")
async def query() -> dict[str, int]:
    """Limited by a query of 30 ms through a driver that blocks."""
    connection = database()
    rows = connection.execute("SELECT wait(0.03)").fetchall()
    connection.close()
    return {"rows": len(rows)}


subprocess_run = FastAPI(title="subprocess.run in async def")


@subprocess_run.get("/")
async def convert() -> dict[str, int]:
    """Limited by waiting for another program in the event loop."""
    return {"code": subprocess.run(["sleep", "0.03"], check=True).returncode}


one_in_five = FastAPI(title="One request in five blocks")
numbers = itertools.count(1)


@one_in_five.get("/")
async def mostly_fine() -> dict[str, bool]:
    """Limited by every fifth request, which blocks for 50 ms; the others wait as they should."""
    slow = next(numbers) % 5 == 0
    if slow:
        time.sleep(0.05)
    else:
        await asyncio.sleep(0.02)
    return {"done": True}


class Audit:
    """Pure ASGI middleware that writes its log in a blocking way."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            time.sleep(0.025)
        await self.app(scope, receive, send)


middleware = FastAPI(title="ASGI middleware that blocks")
middleware.add_middleware(Audit)


@middleware.get("/")
async def behind_audit() -> dict[str, bool]:
    """Limited by the middleware in front of it."""
    await asyncio.sleep(0.005)
    return {"done": True}


class SlowLog(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        time.sleep(0.025)
        return response


dispatch = FastAPI(title="BaseHTTPMiddleware that blocks")
dispatch.add_middleware(SlowLog)


@dispatch.get("/")
def behind_log() -> dict[str, bool]:
    """Limited by the middleware around it, though this endpoint runs in a thread."""
    return {"done": True}


dependency = FastAPI(title="An async dependency that blocks")


async def user() -> str:
    time.sleep(0.03)
    return "ada"


@dependency.get("/")
async def hello(name: Annotated[str, Depends(user)]) -> dict[str, str]:
    """Limited by its dependency, which blocks the event loop."""
    return {"hello": name}


async def starlette_endpoint(request: Request) -> JSONResponse:
    """Limited by time.sleep in the event loop."""
    time.sleep(0.03)
    return JSONResponse({"done": True})


starlette = Starlette(routes=[Route("/", starlette_endpoint)])


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """No framework; limited by time.sleep in the event loop."""
    assert scope["type"] == "http"
    time.sleep(0.03)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"done"})


streaming = FastAPI(title="A stream that blocks between its chunks")


async def chunks() -> AsyncIterator[str]:
    for number in range(5):
        time.sleep(0.01)
        yield f"line {number}\n"


@streaming.get("/")
async def stream() -> StreamingResponse:
    """Limited by time.sleep in an async generator."""
    return StreamingResponse(chunks(), media_type="text/plain")


half = FastAPI(title="Half work, half a blocking wait")


@half.get("/")
async def work_and_block() -> dict[str, int]:
    """Limited by the event loop, which is held for 4 ms of Python and 10 ms of sleep."""
    total = 0
    for number in range(140_000):
        total += number & 7
    time.sleep(0.01)
    return {"total": total}


async def plain_sleep(request: Request) -> PlainTextResponse:
    """Limited by a retry loop that waits in a blocking way."""
    for attempt in range(3):
        time.sleep(0.01 * (attempt + 1))
    return PlainTextResponse("done")


retries = Starlette(routes=[Route("/retry", plain_sleep)])
