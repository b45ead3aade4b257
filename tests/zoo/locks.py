"""Apps that wait for a lock or a small pool of their own process: each worker brings another one."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

async_lock = FastAPI(title="asyncio.Lock")
lock = asyncio.Lock()


@async_lock.get("/")
async def one_at_a_time() -> dict[str, bool]:
    """Limited by an asyncio lock that is held while it waits."""
    async with lock:
        await asyncio.sleep(0.02)
    return {"done": True}


semaphore = FastAPI(title="asyncio.Semaphore(3)")
three = asyncio.Semaphore(3)


@semaphore.get("/")
async def three_at_a_time() -> dict[str, bool]:
    """Limited by a semaphore of three."""
    async with three:
        await asyncio.sleep(0.05)
    return {"done": True}


thread_lock = FastAPI(title="threading.Lock")
guard = threading.Lock()


@thread_lock.get("/")
def guarded() -> dict[str, bool]:
    """Limited by a lock that one of its threads holds while the others wait."""
    with guard:
        time.sleep(0.02)
    return {"done": True}


@asynccontextmanager
async def small_pool(app: FastAPI) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=2)
    async with httpx.AsyncClient(
        base_url=os.environ["DOWNSTREAM_URL"], limits=limits, timeout=60, trust_env=False, verify=False
    ) as client:
        app.state.client = client
        yield


connections = FastAPI(title="Two connections", lifespan=small_pool)


@connections.get("/")
async def query() -> dict[str, int]:
    """Limited by its client's pool of two connections; the service behind could do much more."""
    answer = await connections.state.client.get("/query", params={"ms": 50})
    return {"status": answer.status_code}


executor = FastAPI(title="An executor of two threads")
two_threads = ThreadPoolExecutor(max_workers=2)


@executor.get("/")
async def in_executor() -> dict[str, bool]:
    """Limited by an executor of two threads."""
    await asyncio.get_running_loop().run_in_executor(two_threads, time.sleep, 0.03)
    return {"done": True}


@asynccontextmanager
async def with_consumer(app: FastAPI) -> AsyncIterator[None]:
    app.state.jobs = asyncio.Queue()

    async def consume() -> None:
        while True:
            done = await app.state.jobs.get()
            await asyncio.sleep(0.02)
            if not done.cancelled():
                done.set_result("printed")

    consumer = asyncio.create_task(consume())
    yield
    consumer.cancel()


queue = FastAPI(title="A queue with one consumer", lifespan=with_consumer)


@queue.get("/")
async def enqueue() -> dict[str, str]:
    """Limited by the one task that serves the queue."""
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    await queue.state.jobs.put(done)
    return {"state": await done}


to_thread = FastAPI(title="asyncio.to_thread")


@to_thread.get("/")
async def in_default_executor() -> dict[str, bool]:
    """Limited by asyncio's default executor, which has CPUs + 4 threads."""
    await asyncio.to_thread(time.sleep, 0.1)
    return {"done": True}


printer = asyncio.Lock()


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """No framework; limited by an asyncio lock."""
    assert scope["type"] == "http"
    async with printer:
        await asyncio.sleep(0.03)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"done"})
