"""A bare ASGI 3 app, as short as they come: it even sends the same message object again and again."""

import asyncio
import os
import re

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/regex":  # holds the GIL until somebody ends the process
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif scope["path"] == "/sleep":
        await asyncio.sleep(60)
    elif scope["path"] == "/work":
        sum(range(200_000))
    elif scope["path"] == "/fail":
        raise RuntimeError("as it was asked to")
    await send(START)
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
