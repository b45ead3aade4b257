"""An app with a model, loaded at import as most apps do it: each worker loads its own, or all map one file.

MODEL_MIB=0 leaves the model out (a single number remains): what the app holds without it.
"""

import os

import numpy as np
from fastapi import FastAPI

app = FastAPI(title="Model", summary="Answers from 60 MB of numbers.")
MODEL_MIB = int(os.environ.get("MODEL_MIB", "60"))
FILE = os.environ.get("MODEL_FILE")  # written by numpy.save

model = np.load(FILE, mmap_mode="r") if FILE else np.ones(max(1, MODEL_MIB * 2**20 // 8))
total = float(model.sum())  # reads all of it, as answering requests would


@app.get("/predict")
async def predict(position: int = 0) -> dict[str, float]:
    """One number of the model, as a share of the whole."""
    return {"share": float(model[position % len(model)]) / total}
