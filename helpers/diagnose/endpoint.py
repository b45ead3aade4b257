"""The app's endpoint, as its server describes it: what it is, where it stands, and the line that is in the way."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Function:
    """A function of the app: `kind` is "async def", "def" or "class"."""

    name: str
    kind: str
    arguments: str
    file: str | None
    line: int


@dataclass(frozen=True)
class Endpoint:
    """What answers the request; `function` is None where the app does not tell (neither FastAPI nor Starlette)."""

    framework: str
    path: str | None
    function: Function | None
    dependencies: tuple[Function, ...]
    middleware: tuple[str, ...]
    websockets: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its function's own name, as it stands behind `def`."""
        return "app" if self.function is None else self.function.name.rpartition(".")[2]

    @property
    def kind(self) -> str:
        return "async def" if self.function is None else self.function.kind

    @property
    def in_threads(self) -> list[Function]:
        """What of it runs in the thread pool: itself and its dependencies, where they are `def`."""
        called = [*self.dependencies, *([] if self.function is None else [self.function])]
        return [each for each in called if each.kind == "def"]

    def head(self, *, kind: str | None = None, method: str = "GET") -> str:
        """The first lines of its code, with another `kind` if given."""
        kind = kind or self.kind
        if self.function is None:
            return f"{kind} app(scope, receive, send):"
        first = f"{kind} {self.name}({self.function.arguments}):"
        return f'@app.{method.lower()}("{self.path}")\n{first}' if self.framework == "FastAPI" else first


def endpoint(told: Mapping[str, Any]) -> Endpoint:
    """From what the server tells; nothing at all makes an app of which nothing is known."""
    called = told.get("function")
    return Endpoint(
        framework=str(told.get("framework", "ASGI")),
        path=told.get("path"),
        function=Function(**called) if called else None,
        dependencies=tuple(Function(**each) for each in told.get("dependencies", ())),
        middleware=tuple(told.get("middleware", ())),
        websockets=tuple(told.get("websockets", ())),
    )


def is_async(file: str, line: int) -> bool | None:
    """Whether the innermost function around that line is `async def`; None where the file cannot be read."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return isinstance(max(around, key=lambda node: node.lineno), ast.AsyncFunctionDef) if around else None


def in_a_thread(source: str) -> str | None:
    """The line with its call handed to a thread: `x = f(1)` becomes `x = await asyncio.to_thread(f, 1)`.

    None where the line does not stand for itself, or its call takes what a thread must not (an awaited value).
    """
    try:
        statement = ast.parse(source.rstrip().removesuffix(":")).body[0]
    except (SyntaxError, IndexError):
        return None
    call = getattr(statement, "value", None)
    if not isinstance(call, ast.Call) or any(isinstance(node, ast.Await) for node in ast.walk(call)):
        return None
    to_thread = ast.Call(ast.parse("asyncio.to_thread", mode="eval").body, [call.func, *call.args], call.keywords)
    statement.value = ast.Await(to_thread)  # type: ignore[attr-defined]
    return ast.unparse(ast.fix_missing_locations(statement))
