"""What an app is made of, as far as it tells: the function that answered last, its dependencies, the middleware.

Told by Starlette's and FastAPI's own objects; of any other app only its kind is known.
Standard library only: it runs inside the server's processes.
"""

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any


def describe(app: Any, endpoint: Any, route: Any) -> "dict[str, Any]":
    """All of it as JSON can hold it; `endpoint` and `route` are what the router left in the request's scope."""
    layers = list(_layers(app))
    innermost = layers[-1]
    return {
        "framework": _framework(innermost),
        "middleware": [
            *(type(layer).__name__ for layer in layers[:-1] if not type(layer).__module__.startswith("uvicorn.")),
            *(_middleware_name(each) for each in getattr(innermost, "user_middleware", ())),
        ],
        "websockets": sorted(_websockets(getattr(innermost, "routes", ()))),
        "path": getattr(route, "path", None),
        "function": None if endpoint is None else _function(endpoint),
        "dependencies": [_function(call) for call in _dependencies(getattr(route, "dependant", None))],
    }


def _layers(app: Any) -> "Iterator[Any]":
    """The app, and what it wraps, from the outside to the inside; uvicorn's own wrapping is the outermost."""
    while True:
        yield app
        inner = None if hasattr(app, "routes") else getattr(app, "app", None)
        if not callable(inner):
            return
        app = inner


def _framework(app: Any) -> str:
    names = {f"{each.__module__.partition('.')[0]}.{each.__name__}" for each in type(app).__mro__}
    return "FastAPI" if "fastapi.FastAPI" in names else "Starlette" if "starlette.Starlette" in names else "ASGI"


def _middleware_name(middleware: Any) -> str:
    dispatch = getattr(middleware, "kwargs", {}).get("dispatch")  # @app.middleware("http")
    return str(getattr(dispatch or middleware.cls, "__name__", middleware.cls))


def _websockets(routes: Any, prefix: str = "") -> "Iterator[str]":
    for route in routes:
        path = prefix + str(getattr(route, "path", ""))
        if "WebSocket" in type(route).__name__:
            yield path
        yield from _websockets(getattr(route, "routes", None) or (), path)


def _dependencies(dependant: Any) -> "Iterator[Any]":
    for each in getattr(dependant, "dependencies", ()):
        yield from _dependencies(each)
        yield each.call


def _function(call: Any) -> "dict[str, Any]":
    """Name, kind and place of what is called: a function, a method, a class, or an object with `__call__`."""
    while isinstance(call, functools.partial):
        call = call.func
    code = inspect.unwrap(call)
    target = code if inspect.isroutine(code) or inspect.isclass(code) else type(code).__call__
    waits = inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target)
    try:
        file, (source, line) = inspect.getsourcefile(target), inspect.getsourcelines(target)
    except (OSError, TypeError):
        file, source, line = None, [], 0
    return {
        "name": getattr(code, "__qualname__", type(code).__name__),
        "kind": "class" if inspect.isclass(code) else "async def" if waits else "def",
        "arguments": _arguments("".join(source)),
        "file": file,
        "line": line,
    }


def _arguments(source: str) -> str:
    """What stands between the brackets of the `def`, as it was written; dots where that cannot be read."""
    try:
        function = ast.parse(textwrap.dedent(source)).body[0]
    except (SyntaxError, IndexError):
        return "..."
    return ast.unparse(function.args) if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) else "..."
