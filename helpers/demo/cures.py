"""The demo API's slow endpoints, cured: what waits is awaited or put into threads, what works goes to other processes.

Each lasts as long, and does as much, as the one it stands for.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import anyio.to_thread
import httpx
from fastapi import FastAPI, Query

from helpers.demo.pool import process_pool
from helpers.demo.work import burn

THREADS = int(os.environ.get("THREADS", "40"))  # anyio's own default
PROCESSES = int(os.environ.get("PROCESSES", "2"))
POOL_SIZE = int(os.environ.get("POOL_SIZE", "5"))

Units = Annotated[int, Query(ge=1, le=100_000)]
Milliseconds = Annotated[int, Query(ge=0, le=60_000)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Once per worker, before its first request: threads, processes and connections are each worker's own."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    limits = httpx.Limits(max_connections=POOL_SIZE)
    address = os.environ.get("DOWNSTREAM_URL", "http://127.0.0.1:9")
    async with httpx.AsyncClient(base_url=address, limits=limits, trust_env=False, timeout=60) as client:
        with process_pool(PROCESSES) as pool:
            app.state.client, app.state.pool = client, pool
            yield


app = FastAPI(
    title="Cures", summary="The same waiting and the same work, with the worker free meanwhile.", lifespan=lifespan
)


@app.get("/await")
async def awaits(ms: Milliseconds = 100) -> dict[str, int]:
    """Cure 1: an asynchronous client in the place of the blocking one."""
    await asyncio.sleep(ms / 1000)
    return {"ms": ms}


@app.get("/def")
def in_a_thread(ms: Milliseconds = 100) -> dict[str, int]:
    """Cure 2: without `async`, FastAPI runs it in one of `THREADS` threads."""
    time.sleep(ms / 1000)
    return {"ms": ms}


@app.get("/to-thread")
async def only_the_call_in_a_thread(ms: Milliseconds = 100) -> dict[str, int]:
    """Cure 3: it stays `async def`, and the one blocking call goes to a thread."""
    await asyncio.to_thread(time.sleep, ms / 1000)
    return {"ms": ms}


@app.get("/process-pool")
async def in_a_process(units: Units = 50) -> dict[str, int]:
    """Cure 4: Python work in a process of a pool; the event loop only waits for it."""
    loop = asyncio.get_running_loop()
    return {"units": units, "sum": await loop.run_in_executor(app.state.pool, burn, units)}


@app.get("/pooled")
async def pooled(ms: Milliseconds = 50) -> dict[str, int]:
    """Asks the downstream service through at most `POOL_SIZE` connections, which are this worker's own."""
    (await app.state.client.get("/query", params={"ms": ms})).raise_for_status()
    return {"ms": ms}
