"""The same shop, with all that its workers must agree on in a Redis server, which works on one command at a time."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from redis.asyncio import Redis
from redis.exceptions import RedisError

from helpers.demo.state import EVERY_S, FOLDER, MOST_PER_MINUTE, send_mail

RELEASE = os.environ.get("RELEASE", "1")
ME = f"{os.getpid()}-{secrets.token_hex(4)}"

NOBODY = "redis://127.0.0.1:9"  # not the default port: what runs there may be somebody's

shared = Redis.from_url(os.environ.get("REDIS_URL", NOBODY), decode_responses=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if await shared.set(f"opened {RELEASE}", ME, nx=True):  # only the first one sets it
        send_mail("the shop is open")
    tasks = [asyncio.create_task(newsletter()), asyncio.create_task(pass_on())]
    yield
    for task in tasks:
        task.cancel()
    await shared.aclose()


app = FastAPI(title="Shared shop", summary="Remembers everything in a Redis server.", lifespan=lifespan)


@app.exception_handler(RedisError)
async def redis_trouble(request: Request, error: RedisError) -> JSONResponse:
    """Nothing was counted, and the client is told why, instead of a bare 500."""
    return JSONResponse({"detail": f"redis: {error}"}, 503)


@app.get("/visit")
async def visit() -> dict[str, int]:
    """One command reads, adds and writes."""
    return {"visits": await shared.incr("visits"), "pid": os.getpid()}


# ------------------------------------------------------------------------------------------- the chat and the scheduler

room: list[WebSocket] = []


@app.websocket("/chat")
async def chat(person: WebSocket) -> None:
    """What one says goes to Redis, and from there to everybody in every room."""
    await person.accept()
    await person.send_text(str(os.getpid()))
    room.append(person)
    try:
        while True:
            await shared.publish("chat", await person.receive_text())
    except WebSocketDisconnect:
        room.remove(person)


async def pass_on() -> None:
    """Subscribe once per worker: Redis calls when somebody has said something."""
    async with shared.pubsub() as heard:
        await heard.subscribe("chat")
        async for message in heard.listen():
            if message["type"] == "message":
                for listener in list(room):
                    await listener.send_text(message["data"])


async def newsletter() -> None:
    """Every worker has the clock, one of them the lease; if it ends, another has it three letters later."""
    lasts_ms = int(3000 * EVERY_S)
    while True:
        await asyncio.sleep(EVERY_S)
        with suppress(RedisError):  # not to be had: then at the next tick
            if await shared.set("newsletter", ME, nx=True, px=lasts_ms) or await shared.get("newsletter") == ME:
                await shared.pexpire("newsletter", lasts_ms)
                send_mail("newsletter")


# ------------------------------------------------------------------------------- the cache, the limiter, the session


@app.get("/price")
async def read_price() -> dict[str, int]:
    """Looked up by the slow way once a minute, for all workers."""
    cents = await shared.get("price")
    if cents is None:
        cents = await run_in_threadpool(read_slowly)
        await shared.set("price", cents, ex=60)
    return {"cents": int(cents), "pid": os.getpid()}


def read_slowly() -> str:
    time.sleep(0.05)
    return (FOLDER / "prices.txt").read_text()


@app.put("/price")
async def change_price(cents: int) -> dict[str, int]:
    (FOLDER / "prices.txt").write_text(str(cents))
    await shared.delete("price")
    return {"cents": cents, "pid": os.getpid()}


@app.get("/search")
async def search(client: str) -> dict[str, int]:
    async with shared.pipeline() as both:  # one trip for two commands
        both.incr(f"asked {client}")
        both.expire(f"asked {client}", 60, nx=True)
        n, _ = await both.execute()
    if n > MOST_PER_MINUTE:
        raise HTTPException(429, "too many searches: wait a minute")
    return {"found": 3, "pid": os.getpid()}


@app.post("/login")
async def login(user: str, response: Response) -> dict[str, str]:
    token = secrets.token_urlsafe()
    await shared.set(f"session {token}", user, ex=3600)
    response.set_cookie("session", token, httponly=True)
    return {"hello": user}


@app.get("/me")
async def me(request: Request) -> dict[str, str]:
    user = await shared.get(f"session {request.cookies.get('session', '')}")
    if user is None:
        raise HTTPException(401, "please log in")
    return {"user": str(user)}
