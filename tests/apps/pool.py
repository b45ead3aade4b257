"""An app that hands its work to a pool of processes of its own."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI


@asynccontextmanager
async def lifespan(app: FastAPI):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as app.state.pool:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
def work() -> dict[str, int]:
    return {"worker": os.getpid(), "child": app.state.pool.submit(os.getpid).result()}
