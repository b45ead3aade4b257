"""An app that tells which event loop runs it."""

import asyncio


async def app(scope, receive, send):
    assert scope["type"] == "http"
    name = type(asyncio.get_running_loop()).__module__
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": name.encode()})
