"""The API under test: plain FastAPI, as the post's reader would write it. No plumbing, no measuring code."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import numpy as np
from fastapi import FastAPI, HTTPException, Query

from helpers.demo.work import burn


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Once per worker: the client that `/downstream` asks with, since a new one for each request would cost more."""
    address = os.environ.get("DOWNSTREAM_URL", "")
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60, verify=False) as client:  # plain http
        app.state.downstream = client
        yield


app = FastAPI(title="Demo API", summary="Endpoints that work, wait or block, each a fixed amount.", lifespan=lifespan)

Units = Annotated[int, Query(ge=1, le=100_000, description="units of work; one is 10,000 turns of a Python loop")]
Milliseconds = Annotated[int, Query(ge=0, le=60_000, description="how long to wait")]
Size = Annotated[int, Query(ge=1, le=4_000, description="rows and columns of the matrices that are multiplied")]


@app.get("/")
async def root() -> dict[str, str]:
    return {"message": "Hello from the demo API", "docs": "/docs"}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/whoami")
async def whoami() -> dict[str, int | str]:
    """Which process, and which thread of it, answers."""
    return {"pid": os.getpid(), "parent": os.getppid(), "thread": threading.current_thread().name}


@app.get("/cpu")
async def cpu(units: Units = 50) -> dict[str, int]:
    """Works in Python: keeps one core busy, and its worker's event loop with it."""
    return {"units": units, "sum": burn(units)}


@app.get("/cpu-def")
def cpu_def(units: Units = 50) -> dict[str, int]:
    """The same work in a `def` endpoint: FastAPI runs it in a thread."""
    return {"units": units, "sum": burn(units)}


@app.get("/sleep")
async def sleep(ms: Milliseconds = 100) -> dict[str, int]:
    """Waits the asynchronous way: the worker serves others meanwhile."""
    await asyncio.sleep(ms / 1000)
    return {"ms": ms}


@app.get("/blocking")
async def blocking(ms: Milliseconds = 100) -> dict[str, int]:
    """Waits the blocking way inside `async def`: nobody else is served meanwhile."""
    time.sleep(ms / 1000)
    return {"ms": ms}


@app.get("/blocking-def")
def blocking_def(ms: Milliseconds = 100) -> dict[str, int]:
    """Waits the blocking way in a `def` endpoint: one of the worker's 40 threads waits."""
    time.sleep(ms / 1000)
    return {"ms": ms}


@app.get("/downstream")
async def downstream(ms: Milliseconds = 100) -> dict[str, int]:
    """Asks another service, which serves a few requests at a time; its address stands in DOWNSTREAM_URL."""
    if "DOWNSTREAM_URL" not in os.environ:
        raise HTTPException(503, "DOWNSTREAM_URL is not set: start helpers.demo.downstream:app and pass its address")
    answer = await app.state.downstream.get("/query", params={"ms": ms})
    answer.raise_for_status()
    return {"ms": ms}


@app.get("/native")
def native(size: Size = 300) -> dict[str, float]:
    """Multiplies matrices in compiled code that releases the GIL."""
    matrix = np.full((size, size), 0.5)
    return {"size": size, "corner": float((matrix @ matrix)[0, 0])}
