"""A counter as it is written first: a module global. Right with one worker, and wrong with two."""

import os

from fastapi import FastAPI

app = FastAPI(title="Counter", summary="Counts its visits in a global variable.")
visits = 0


@app.get("/visit")
async def visit() -> dict[str, int]:
    """Count one more visit, and say how many there were."""
    global visits
    visits += 1
    return {"visits": visits, "pid": os.getpid()}
