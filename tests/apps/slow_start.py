"""An app whose start-up takes longer than anybody waits."""

import asyncio
from contextlib import asynccontextmanager

from fastapi import FastAPI


@asynccontextmanager
async def lifespan(app: FastAPI):
    await asyncio.sleep(60)
    yield


app = FastAPI(lifespan=lifespan)
