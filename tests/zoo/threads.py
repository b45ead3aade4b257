"""Apps that run out of threads: blocking waits in `def`, 40 of them at a time per worker."""

import os
import sqlite3
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

sleeping = FastAPI(title="time.sleep in def")


@sleeping.get("/")
def sleep() -> dict[str, bool]:
    """Limited by the 40 threads: each is held for 150 ms."""
    time.sleep(0.15)
    return {"done": True}


dependency = FastAPI(title="A def dependency that waits")


def session() -> str:
    time.sleep(0.15)
    return "session"


@dependency.get("/")
async def with_session(name: Annotated[str, Depends(session)]) -> dict[str, str]:
    """Async itself; limited by the threads its dependency runs in."""
    return {"session": name}


sqlite = FastAPI(title="A slow SQL query in def")


@sqlite.get("/")
def query() -> dict[str, int]:
    """Limited by the 40 threads: each is held by a query of 150 ms."""
    connection = sqlite3.connect(":memory:")
    connection.create_function("wait", 1, time.sleep)
    rows = connection.execute("SELECT wait(0.15)").fetchall()
    connection.close()
    return {"rows": len(rows)}


def starlette_endpoint(request: Request) -> JSONResponse:
    """Limited by the 40 threads: Starlette runs a def endpoint in one of them."""
    time.sleep(0.15)
    return JSONResponse({"done": True})


starlette = Starlette(routes=[Route("/", starlette_endpoint)])

requests_style = FastAPI(title="A blocking HTTP client in def")
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@requests_style.get("/")
def ask() -> dict[str, int]:
    """Limited by the 40 threads: each waits for a service that could serve many more."""
    with direct.open(f"{os.environ['DOWNSTREAM_URL']}/query?ms=250", timeout=60) as answer:
        return {"status": answer.status}


@asynccontextmanager
async def ten_threads(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = 10
    yield


ten = FastAPI(title="Ten threads", lifespan=ten_threads)


@ten.get("/")
def one_of_ten() -> dict[str, bool]:
    """Limited by the threads, of which the app itself allows only ten."""
    time.sleep(0.1)
    return {"done": True}


handed_over = FastAPI(title="run_in_threadpool in async def")


@handed_over.get("/")
async def hand_over() -> dict[str, bool]:
    """Limited by the 40 threads it hands its wait to."""
    await run_in_threadpool(time.sleep, 0.15)
    return {"done": True}


class Order(BaseModel):
    name: str
    count: int = 1


posting = FastAPI(title="POST, in def")


@posting.post("/orders", status_code=201)
def order(wanted: Order) -> dict[str, str]:
    """Limited by the 40 threads: each is held for 150 ms."""
    time.sleep(0.15)
    return {"ordered": f"{wanted.count} x {wanted.name}"}
