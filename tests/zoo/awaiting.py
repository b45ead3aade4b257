"""Apps that wait as they should: one worker overlaps all the requests that come."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

sleeping = FastAPI(title="asyncio.sleep")


@sleeping.get("/")
async def sleep() -> dict[str, bool]:
    """Limited by nothing but its own wait of 100 ms."""
    await asyncio.sleep(0.1)
    return {"done": True}


@asynccontextmanager
async def with_client(app: FastAPI) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        base_url=os.environ["DOWNSTREAM_URL"], limits=limits, timeout=60, trust_env=False, verify=False
    ) as client:
        app.state.client = client
        yield


client = FastAPI(title="An async HTTP client", lifespan=with_client)


@client.get("/")
async def query() -> dict[str, int]:
    """Limited by nothing but the answer's time: the service behind serves hundreds at once."""
    answer = await client.state.client.get("/query", params={"ms": 500})
    return {"status": answer.status_code}


streaming = FastAPI(title="A stream that awaits between its chunks")


async def chunks() -> AsyncIterator[str]:
    for number in range(5):
        await asyncio.sleep(0.02)
        yield f"line {number}\n"


@streaming.get("/")
async def stream() -> StreamingResponse:
    """Limited by nothing but its own waits."""
    return StreamingResponse(chunks(), media_type="text/plain")


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """No framework; limited by nothing but its own wait of 80 ms."""
    assert scope["type"] == "http"
    await asyncio.sleep(0.08)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"done"})


def create_app() -> FastAPI:
    """A factory; limited by nothing but the wait of 100 ms."""
    app = FastAPI(title="Made by a factory")

    @app.get("/wait")
    async def wait() -> dict[str, bool]:
        await asyncio.sleep(0.1)
        return {"done": True}

    return app


async def two_waits(request: Request) -> JSONResponse:
    """Limited by nothing but two waits at once."""
    await asyncio.gather(asyncio.sleep(0.09), asyncio.sleep(0.1))
    return JSONResponse({"done": True})


starlette = Starlette(routes=[Route("/", two_waits)])
