"""A service that wants all of it: a factory, a lifespan, an environment variable, a package called `helpers`.

And a package that only its own virtual environment has.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import only_in_its_own_environment
from fastapi import FastAPI, Request
from helpers.settings import WAIT_S


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.gate = asyncio.Lock()
    yield


def make_app() -> FastAPI:
    app = FastAPI(lifespan=lifespan)

    @app.get("/report")
    async def report(request: Request) -> dict[str, str]:
        async with request.app.state.gate:
            await asyncio.sleep(WAIT_S)
        return {"version": only_in_its_own_environment.VERSION}

    return app
