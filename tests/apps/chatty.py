"""An app that writes a megabyte of log for every request."""

import sys

LINE = "x" * 1023 + "\n"


async def app(scope, receive, send):
    assert scope["type"] == "http"
    for _ in range(1024):
        sys.stderr.write(LINE)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"written"})
