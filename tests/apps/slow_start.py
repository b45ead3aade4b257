"""An app whose start-up takes longer than anybody waits."""

import asyncio


async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await asyncio.sleep(60)
