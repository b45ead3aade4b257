"""An app made by a function, and one that cannot be made."""

from fastapi import FastAPI


def make() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    def home() -> str:
        return "made"

    return app


def fail() -> FastAPI:
    raise ValueError("no settings were found")
