"""Apps that answer with errors, always or under load, and what makes two of them answer well."""

import asyncio
import os
import socket
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

key_error = FastAPI(title="A key that is not there")


@key_error.get("/")
async def look_up() -> dict[str, str]:
    """Fails always: KeyError, 500."""
    prices: dict[str, str] = {}
    return {"price": prices["apple"]}


missing_argument = FastAPI(title="An argument that must be given")


@missing_argument.get("/predict")
async def predict(n: int) -> dict[str, int]:
    """Fails without ?n=...: 422. With it, limited by nothing but its wait."""
    await asyncio.sleep(0.05)
    return {"n": n}


guarded = FastAPI(title="A header that must be given")


@guarded.get("/private")
async def private(authorization: Annotated[str, Header()] = "") -> dict[str, str]:
    """Fails without the right header: 401. With it, limited by nothing but its wait."""
    if authorization != "Bearer letmein":
        raise HTTPException(401, "send the header Authorization: Bearer ...")
    await asyncio.sleep(0.08)
    return {"secret": "blue"}


crowded = FastAPI(title="Six at a time, the others are turned away")
in_hand = 0


@crowded.get("/")
async def at_most_six() -> dict[str, bool]:
    """Fails under load only: 503 to the seventh at the same time."""
    global in_hand
    if in_hand >= 6:
        raise HTTPException(503, "too many requests in hand")
    in_hand += 1
    try:
        await asyncio.sleep(0.05)
    finally:
        in_hand -= 1
    return {"done": True}


no_database = FastAPI(title="A database that is not there")


@no_database.get("/")
def from_database() -> dict[str, bool]:
    """Fails always: nobody listens at that port, 500."""
    with socket.create_connection(("127.0.0.1", 1), timeout=1):
        return {"connected": True}


needs_variable = FastAPI(title="An environment variable that must be set")


@needs_variable.get("/")
async def with_variable() -> dict[str, str]:
    """Fails without SHOP_CURRENCY: 500. With it, limited by nothing but its wait."""
    currency = os.environ["SHOP_CURRENCY"]
    await asyncio.sleep(0.08)
    return {"currency": currency}


class Order(BaseModel):
    item: str
    count: int


posting = FastAPI(title="A body that must have two fields")


@posting.post("/orders")
async def order(wanted: Order) -> dict[str, int]:
    """Fails where a field is missing: 422."""
    return {"count": wanted.count}


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """No framework; fails always: it begins an answer and breaks off."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("the file ended early")
