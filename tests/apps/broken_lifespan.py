"""An app whose start-up fails."""

from contextlib import asynccontextmanager

from fastapi import FastAPI


@asynccontextmanager
async def lifespan(app: FastAPI):
    raise ConnectionRefusedError("the database is not there")
    yield


app = FastAPI(lifespan=lifespan)
