"""Apps that work in compiled code which lets the GIL go: one worker's threads fill all cores."""

import hashlib
import random
import zlib

import numpy as np
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MATRIX = np.random.default_rng(1).random((900, 900))
matrix = FastAPI(title="Matrices multiplied in def")


@matrix.get("/")
def multiply() -> dict[str, float]:
    """Limited by all cores: the matrices are multiplied outside the GIL."""
    return {"corner": float((MATRIX @ MATRIX)[0, 0])}


password = FastAPI(title="Passwords hashed in def")


@password.get("/")
def check() -> dict[str, str]:
    """Limited by all cores: OpenSSL hashes outside the GIL."""
    return {"key": hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 60_000).hex()}


MEGABYTE = bytes(random.Random(1).choices(b"abcdefghijklmnop", k=1_000_000))
compression = FastAPI(title="A megabyte compressed in def")


@compression.get("/")
def compress() -> dict[str, int]:
    """Limited by all cores: zlib compresses outside the GIL."""
    return {"bytes": len(zlib.compress(MEGABYTE, 1))}


BLOB = MEGABYTE * 16


def digest(request: Request) -> JSONResponse:
    """Limited by all cores: the checksum of 16 MB is made outside the GIL."""
    return JSONResponse({"sha256": hashlib.sha256(BLOB).hexdigest()})


starlette = Starlette(routes=[Route("/", digest)])
