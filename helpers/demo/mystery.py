"""Three APIs that look alike from outside. Notebook 11 asks why each is slow: do not read on before you have bet."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response

# --------------------------------------------------------------------------------------------------------------- a

connection_in_use = asyncio.Lock()
a = FastAPI(title="Orders")


@a.get("/")
async def orders() -> dict[str, int]:
    """Each worker has one connection to the database, and a connection takes one query at a time."""
    async with connection_in_use:
        await asyncio.sleep(0.04)
    return {"orders": 3}


# --------------------------------------------------------------------------------------------------------------- b

LEDGER = Path(tempfile.gettempdir()) / f"ledger-{os.getppid()}.txt"  # the workers of one launch share it


@asynccontextmanager
async def with_ledger(app: FastAPI) -> AsyncIterator[None]:
    LEDGER.touch()
    yield
    LEDGER.unlink(missing_ok=True)


b = FastAPI(title="Invoices", lifespan=with_ledger)


@b.get("/")
def invoices() -> dict[str, int]:
    """Who writes into the ledger locks the file, so that no number is given twice; writing waits for the disk."""
    import fcntl  # not there on Windows

    with LEDGER.open("a") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)
        time.sleep(0.04)
    return {"invoices": 3}


# --------------------------------------------------------------------------------------------------------------- c

c = FastAPI(title="Items")


@c.middleware("http")
async def audit(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Keeps a trail of who asked for what; writing it waits for the disk."""
    response = await call_next(request)
    time.sleep(0.04)
    return response


@c.get("/")
async def items() -> dict[str, int]:
    """The endpoint itself has its answer in memory, and waits for nobody."""
    return {"items": 3}
