"""An app with a package of its own called `helpers`."""

from fastapi import FastAPI
from helpers.text import GREETING

app = FastAPI()


@app.get("/")
def home() -> str:
    return GREETING
