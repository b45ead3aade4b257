"""Apps that wait for something outside the process, which serves a few at a time: more workers do not help."""

import fcntl
import os
import sqlite3
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


@asynccontextmanager
async def with_client(app: Starlette) -> AsyncIterator[None]:
    """One HTTP client per worker, with room for as many connections as anybody wants."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        base_url=os.environ["DOWNSTREAM_URL"], limits=limits, timeout=60, trust_env=False, verify=False
    ) as client:
        app.state.client = client
        yield


queries = FastAPI(title="A service that serves four at a time", lifespan=with_client)


@queries.get("/")
async def query() -> dict[str, int]:
    """Limited by the service it asks, which admits four."""
    answer = await queries.state.client.get("/query", params={"ms": 60})
    return {"status": answer.status_code}


reports = FastAPI(title="A service that serves three at a time, asked from def")
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@reports.get("/")
def report() -> dict[str, int]:
    """Limited by the service it asks, which admits three; the threads only wait for it."""
    with direct.open(f"{os.environ['DOWNSTREAM_URL']}/query?ms=50", timeout=60) as answer:
        return {"status": answer.status}


file_lock = FastAPI(title="A file that one at a time may write")


@file_lock.get("/")
def write() -> dict[str, bool]:
    """Limited by a lock on a file, which all workers share."""
    with open(__file__) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        time.sleep(0.02)
    return {"written": True}


DATABASE = Path(tempfile.gettempdir()) / f"orders-{os.getppid()}.sqlite"  # one launch, one file: its workers share it


@asynccontextmanager
async def with_table(app: FastAPI) -> AsyncIterator[None]:
    with closing(sqlite3.connect(DATABASE, timeout=60)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orders (item TEXT)")
    yield
    DATABASE.unlink(missing_ok=True)


one_writer = FastAPI(title="A database with one writer at a time", lifespan=with_table)


@one_writer.get("/")
def insert() -> dict[str, bool]:
    """Limited by the database, which lets one transaction write at a time."""
    with closing(sqlite3.connect(DATABASE, timeout=60, isolation_level=None)) as connection:
        connection.create_function("wait", 1, time.sleep)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT wait(0.012)").fetchall()
        connection.execute("ROLLBACK")
    return {"done": True}


async def two_at_a_time(request: Request) -> JSONResponse:
    """Limited by the service it asks, which admits two."""
    answer = await request.app.state.client.get("/query", params={"ms": 40})
    return JSONResponse(answer.json())


starlette = Starlette(routes=[Route("/", two_at_a_time)], lifespan=with_client)
