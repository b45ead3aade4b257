"""The slow shared service behind `/downstream`: a database, say, that serves four queries at a time."""

import asyncio
import os
from typing import Annotated

from fastapi import FastAPI, Query

app = FastAPI(title="Downstream", summary="Serves a few queries at a time; the others wait.")
at_a_time = asyncio.Semaphore(int(os.environ.get("DOWNSTREAM_AT_A_TIME", "4")))


@app.get("/query")
async def query(ms: Annotated[int, Query(ge=0, le=60_000)] = 100) -> dict[str, int]:
    async with at_a_time:
        await asyncio.sleep(ms / 1000)
    return {"ms": ms}
