"""An app with a model, loaded at import as most apps do it: each worker loads its own, or all map one file."""

import os

import numpy as np
from fastapi import FastAPI

app = FastAPI(title="Model", summary="Answers from 60 MB of numbers.")
MODEL_MIB = 60
FILE = os.environ.get("MODEL_FILE")  # written by numpy.save

model = np.load(FILE, mmap_mode="r") if FILE else np.ones(MODEL_MIB * 2**20 // 8)
total = float(model.sum())  # reads all of it, as answering requests would


@app.get("/predict")
async def predict(position: int = 0) -> dict[str, float]:
    """One number of the model, as a share of the whole."""
    return {"share": float(model[position % len(model)]) / total}
