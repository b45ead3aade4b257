"""Apps that a diagnosis must survive: one forks, one serves by itself, one can be started once only, one is slow."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from fastapi import FastAPI

KIND = os.environ.get("MISBEHAVES", "")

app = FastAPI()

if KIND == "starts a process":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
elif KIND == "forks":
    if not os.fork():
        time.sleep(600)
        os._exit(0)
elif KIND == "ignores SIGTERM":

    def ignored(_number: int, _frame: Any) -> None:
        print("no")

    @app.on_event("startup")
    async def deaf() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
        signal.signal(signal.SIGTERM, ignored)
elif KIND == "binds a port":
    door = socket.create_server(("127.0.0.1", int(os.environ["OWN_PORT"])))
elif KIND == "serves at import":
    import uvicorn

    uvicorn.run(app, port=int(os.environ["OWN_PORT"]))
elif KIND == "serves at import, for ever":
    from http.server import HTTPServer, SimpleHTTPRequestHandler

    HTTPServer(("127.0.0.1", int(os.environ["OWN_PORT"])), SimpleHTTPRequestHandler).serve_forever()
elif KIND == "prints megabytes":
    for _ in range(200):
        print("x" * 100_000)


@app.get("/")
async def home() -> str:
    await asyncio.sleep(0.02)
    return "here"


@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(30)
    return "at last"


@app.websocket("/chat")
async def chat(socket: Any) -> None:
    await socket.accept()


@app.post("/order")
async def order(item: dict[str, str]) -> dict[str, str]:
    await asyncio.sleep(0.02)
    return item
