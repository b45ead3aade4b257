"""The same shop, with all that its workers must agree on in one SQLite file: no server to run, nothing to install."""

import asyncio
import os
import secrets
import sqlite3
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from helpers.demo.state import EVERY_S, FOLDER, MOST_PER_MINUTE, send_mail

DATABASE = os.environ.get("DATABASE", str(Path(tempfile.gettempdir(), "shop.sqlite")))
PATIENCE_S = float(os.environ.get("DATABASE_PATIENCE_S", "5"))  # how long to wait for whoever is writing
RELEASE = os.environ.get("RELEASE", "1")
LOOK_EVERY_S = 0.02
ME = f"{os.getpid()}-{secrets.token_hex(4)}"  # a pid alone may be given to somebody else later

TABLES = """
    PRAGMA journal_mode = WAL;  -- one may write while others read; a setting of the file, it stays
    CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS done (name TEXT PRIMARY KEY, by TEXT);
    CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, owner TEXT, until REAL);
    CREATE TABLE IF NOT EXISTS said (id INTEGER PRIMARY KEY, words TEXT);
    CREATE TABLE IF NOT EXISTS prices (name TEXT PRIMARY KEY, cents INTEGER);
    CREATE TABLE IF NOT EXISTS asked (client TEXT PRIMARY KEY, since REAL, n INTEGER);
    CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, user TEXT);
"""
mine = threading.local()


def database() -> sqlite3.Connection:
    """A connection for each thread: to open one for each request would cost more than the request."""
    connection: sqlite3.Connection | None = getattr(mine, "connection", None)
    if connection is None:
        connection = mine.connection = sqlite3.connect(DATABASE, timeout=PATIENCE_S, isolation_level=None, uri=True)
        connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def ask(statement: str, *values: Any) -> list[Any]:
    """One statement, which is a transaction of its own: all its rows, and it is done."""
    return database().execute(statement, values).fetchall()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    database().executescript(TABLES)
    if ask("INSERT INTO done VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1", f"opened {RELEASE}", ME):
        send_mail("the shop is open")  # whoever gets the row in does it, and nobody after that
    tasks = [asyncio.create_task(newsletter()), asyncio.create_task(pass_on())]
    yield
    for task in tasks:
        task.cancel()


app = FastAPI(title="Shared shop", summary="Remembers everything in one SQLite file.", lifespan=lifespan)


@app.exception_handler(sqlite3.Error)
async def database_trouble(request: Request, error: sqlite3.Error) -> JSONResponse:
    """Nothing was counted, and the client is told why, instead of a bare 500."""
    return JSONResponse({"detail": f"the database: {error}"}, 503)


# -------------------------------------------------------------------------------------------------------- the counter

ADD_ONE = "INSERT INTO counters VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n"
in_turn = threading.Lock()


@app.get("/visit")
def visit() -> dict[str, int]:
    """One statement reads, adds and writes: nobody can come in between."""
    [(n,)] = ask(ADD_ONE, "visits")
    return {"visits": n, "pid": os.getpid()}


@app.get("/visit/read-then-write")
def read_then_write() -> dict[str, int]:
    """Two statements, and between them the others."""
    rows = ask("SELECT n FROM counters WHERE name = 'visits'")
    n = rows[0][0] + 1 if rows else 1
    time.sleep(0)  # whatever else is done in between, such as a line in the log: others get their turn
    ask("INSERT INTO counters VALUES ('visits', ?) ON CONFLICT DO UPDATE SET n = excluded.n", n)
    return {"visits": n, "pid": os.getpid()}


@app.get("/visit/with-lock")
def with_lock() -> dict[str, int]:
    """The same two, and a lock of Python's around them."""
    with in_turn:
        return read_then_write()


@app.get("/visit/in-transaction")
def in_transaction() -> dict[str, int]:
    """The same two, in a transaction that is the only one to write from its begin to its end."""
    ask("BEGIN IMMEDIATE")
    try:
        answer = read_then_write()
        ask("COMMIT")
    except BaseException:
        database().rollback()
        raise
    return answer


@app.get("/health")
def health() -> dict[str, str]:
    """Asks nobody: what a `def` endpoint costs by itself."""
    return {"status": "ok"}


@app.get("/visits")
def visits() -> dict[str, int]:
    """How many there were; counts none."""
    rows = ask("SELECT n FROM counters WHERE name = 'visits'")
    return {"visits": rows[0][0] if rows else 0, "pid": os.getpid()}


# ------------------------------------------------------------------------------------------- the chat and the scheduler

room: list[WebSocket] = []


@app.websocket("/chat")
async def chat(person: WebSocket) -> None:
    """What one says goes into the file, and from there to everybody in every room."""
    await person.accept()
    await person.send_text(str(os.getpid()))
    room.append(person)
    try:
        while True:
            await run_in_threadpool(ask, "INSERT INTO said (words) VALUES (?)", await person.receive_text())
    except WebSocketDisconnect:
        room.remove(person)


async def pass_on() -> None:
    """Look into the file again and again: a file cannot call."""
    [(last,)] = await run_in_threadpool(ask, "SELECT coalesce(max(id), 0) FROM said")
    while True:
        for number, words in await run_in_threadpool(ask, "SELECT * FROM said WHERE id > ? ORDER BY id", last):
            last = number
            for listener in list(room):
                await listener.send_text(words)
        await asyncio.sleep(LOOK_EVERY_S)


HOLD = """
    INSERT INTO leases VALUES ('newsletter', ?1, ?2 + ?3)
    ON CONFLICT DO UPDATE SET owner = ?1, until = ?2 + ?3
    WHERE owner = ?1 OR until < ?2
    RETURNING owner
"""


async def newsletter() -> None:
    """Every worker has the clock, one of them the lease; if it ends, another has it three letters later."""
    while True:
        await asyncio.sleep(EVERY_S)
        with suppress(sqlite3.OperationalError):  # locked for too long: then at the next tick
            if await run_in_threadpool(ask, HOLD, ME, time.time(), 3 * EVERY_S):
                send_mail("newsletter")


# ---------------------------------------------------------------------------------------------------------- the cache


@app.get("/price")
def read_price() -> dict[str, int]:
    """Looked up by the slow way once, for all workers."""
    rows = ask("SELECT cents FROM prices WHERE name = 'today'")
    if not rows:
        time.sleep(0.05)  # the slow file
        rows = [(int((FOLDER / "prices.txt").read_text()),)]
        ask("INSERT INTO prices VALUES ('today', ?) ON CONFLICT DO NOTHING", rows[0][0])
    return {"cents": rows[0][0], "pid": os.getpid()}


@app.put("/price")
def change_price(cents: int) -> dict[str, int]:
    (FOLDER / "prices.txt").write_text(str(cents))
    ask("DELETE FROM prices")
    return {"cents": cents, "pid": os.getpid()}


# --------------------------------------------------------------------------------------------------- the rate limiter

ONE_MORE = """
    INSERT INTO asked VALUES (?1, ?2, 1)
    ON CONFLICT DO UPDATE SET
        n = CASE WHEN since < ?2 - 60 THEN 1 ELSE n + 1 END,
        since = CASE WHEN since < ?2 - 60 THEN ?2 ELSE since END
    RETURNING n
"""


@app.get("/search")
def search(client: str) -> dict[str, int]:
    [(n,)] = ask(ONE_MORE, client, time.time())
    if n > MOST_PER_MINUTE:
        raise HTTPException(429, "too many searches: wait a minute")
    return {"found": 3, "pid": os.getpid()}


# -------------------------------------------------------------------------------------------------------- the session


@app.post("/login")
def login(user: str, response: Response) -> dict[str, str]:
    token = secrets.token_urlsafe()
    ask("INSERT INTO sessions VALUES (?, ?)", token, user)
    response.set_cookie("session", token, httponly=True)
    return {"hello": user}


@app.get("/me")
def me(request: Request) -> dict[str, str]:
    rows = ask("SELECT user FROM sessions WHERE token = ?", request.cookies.get("session", ""))
    if not rows:
        raise HTTPException(401, "please log in")
    return {"user": rows[0][0]}
