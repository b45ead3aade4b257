"""A small shop as it is written first: what it must remember stands in its memory. Right with one worker."""

import asyncio
import os
import secrets
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect

from helpers.demo.counter import visit

FOLDER = Path(os.environ.get("SHOP_FOLDER", tempfile.gettempdir()))  # prices.txt, and the outbox
EVERY_S = float(os.environ.get("NEWSLETTER_EVERY_S", "3600"))
MOST_PER_MINUTE = 10


def send_mail(about: str) -> None:
    """Stands for the mail server: a line in the outbox says when, and which process sent what."""
    with (FOLDER / "outbox.txt").open("a") as outbox:
        outbox.write(f"{time.time():.6f} {os.getpid()} {about}\n")


async def newsletter() -> None:
    """The scheduler: a letter now and then, as long as the service runs."""
    while True:
        await asyncio.sleep(EVERY_S)
        send_mail("newsletter")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What is to happen once, when the service starts."""
    send_mail("the shop is open")
    scheduler = asyncio.create_task(newsletter())
    yield
    scheduler.cancel()


app = FastAPI(title="Shop", summary="Remembers everything in memory.", lifespan=lifespan)
app.get("/visit")(visit)  # the counter of helpers/demo/counter.py


# ----------------------------------------------------------------------------------------------------------- the chat

room: list[WebSocket] = []


@app.websocket("/chat")
async def chat(person: WebSocket) -> None:
    """What one says, all in the room hear; the first message tells who serves this person."""
    await person.accept()
    await person.send_text(str(os.getpid()))
    room.append(person)
    try:
        while True:
            said = await person.receive_text()
            for listener in list(room):
                await listener.send_text(said)
    except WebSocketDisconnect:
        room.remove(person)


# ---------------------------------------------------------------------------------------------------------- the cache


@lru_cache
def price() -> int:
    """The price of the day, from a file that is slow to read."""
    time.sleep(0.05)
    return int((FOLDER / "prices.txt").read_text())


@app.get("/price")
def read_price() -> dict[str, int]:
    return {"cents": price(), "pid": os.getpid()}


@app.put("/price")
def change_price(cents: int) -> dict[str, int]:
    """Write the new price, and forget the old one."""
    (FOLDER / "prices.txt").write_text(str(cents))
    price.cache_clear()
    return {"cents": cents, "pid": os.getpid()}


# --------------------------------------------------------------------------------------------------- the rate limiter

asked: defaultdict[str, list[float]] = defaultdict(list)


@app.get("/search")
async def search(client: str) -> dict[str, int]:
    """At most so many searches per minute for each client."""
    recent = [moment for moment in asked[client] if moment > time.time() - 60]
    if len(recent) >= MOST_PER_MINUTE:
        raise HTTPException(429, "too many searches: wait a minute")
    asked[client] = [*recent, time.time()]
    return {"found": 3, "pid": os.getpid()}


# -------------------------------------------------------------------------------------------------------- the session

sessions: dict[str, str] = {}


@app.post("/login")
async def login(user: str, response: Response) -> dict[str, str]:
    token = secrets.token_urlsafe()
    sessions[token] = user
    response.set_cookie("session", token, httponly=True)
    return {"hello": user}


@app.get("/me")
async def me(request: Request) -> dict[str, str]:
    """Who is logged in with this cookie."""
    user = sessions.get(request.cookies.get("session", ""))
    if user is None:
        raise HTTPException(401, "please log in")
    return {"user": user}
