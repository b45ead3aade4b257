"""What is diagnosed: an app by its import string, or a running address, and the one request that is sent to it."""

import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.errors import InputError
from helpers.load.plan import split_url
from helpers.load.values import header_pairs, method_name

NO_SOCKETS = "Name an HTTP endpoint that does the same work; a socket's messages are no requests with an answer each."
SAFE_METHODS = ("GET", "OPTIONS")


@dataclass(frozen=True)
class Subject:
    """The target and its request. `app` is None where a running server is diagnosed from outside, by `address`."""

    app: str | None
    address: str  # http://host:port; empty as long as no server was launched
    path: str  # with its query
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    app_dir: str | None
    factory: bool
    python: str | None
    env: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the report is about, in one word."""
        return self.app or self.address

    @property
    def request(self) -> str:
        return f"{self.method} {self.path}"

    def command(self, *, path: str | None = None, json_body: str | None = None) -> str:
        """The command line that asks the same again, with another path, or a file for the body."""
        words = ["python3", "-m", "helpers", "diagnose", self.app or self.address, "--path", path or self.path]
        words += ["--app-dir", self.app_dir] if self.app_dir else []
        words += ["--factory"] * self.factory
        words += ["--python", self.python] if self.python else []
        words += ["--method", self.method] if self.method != "GET" else []
        body = json_body or ("body.json" if self.body else None)
        words += ["--json-body", body] if body else []
        for name, _secret in self.headers:
            words += ["--header", f"{name}: ..."] if name.lower() != "content-type" else []
        words += ["--yes"] if self.method not in SAFE_METHODS else []
        return shlex.join(words)

    def server_arguments(self) -> dict[str, Any]:
        """For Server(...): the app as its owner would run it, and no file written beside its modules."""
        return {
            "app": self.app,
            "app_dir": self.app_dir,
            "python": self.python,
            "options": {"factory": True} if self.factory else None,
            "env": {"PYTHONDONTWRITEBYTECODE": "1", **self.env},
        }

    def load_arguments(self) -> dict[str, Any]:
        """For load_test(...)."""
        return {"method": self.method, "headers": dict(self.headers), "body": self.body}


def subject(
    target: str,
    *,
    path: str | None = None,
    method: str = "GET",
    json_body: Any = None,
    headers: Mapping[str, str] | None = None,
    app_dir: str | os.PathLike[str] | None = None,
    factory: bool = False,
    python: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    yes: bool = False,
) -> Subject:
    """Everything checked before anything is started. Raises InputError, TargetError."""
    if not isinstance(target, str) or not target.strip():
        raise InputError(f"the target is {target!r}", 'Give an app such as "mypkg.main:app", or http://127.0.0.1:8000/')
    if target.startswith(("ws://", "wss://")):
        raise InputError(
            f"{target} is a WebSocket address, and diagnose sends HTTP requests",
            NO_SOCKETS,
        )
    if re.match(r"[\w.-]+:\d+(/|$)", target):
        raise InputError(f"{target!r} is an address without its scheme", f"Write http://{target}")
    if re.search(r"\.py(:|$)", target):
        raise InputError(f"the target {target!r} names a file", f"Write its module: {target.replace('.py', '')!r}")
    request: dict[str, Any] = {
        "method": _harmless(method_name(method), yes),
        "headers": header_pairs(_with_json(headers or {}, json_body)),
        "body": b"" if json_body is None else _as_json(json_body),
    }
    if "://" in target:
        alone = {"app_dir": app_dir, "factory": factory or None, "python": python, "env": env}
        given = [name for name, value in alone.items() if value is not None]
        if given:
            raise InputError(
                f"{given[0]} is given, but {target} runs already", "Leave it out, or give the app's import string."
            )
        host, port, in_url = split_url(target)
        if path is not None and in_url not in ("/", _path(path)):
            raise InputError(f"the address names the path {in_url}, and path is {path!r}", "Give one of the two.")
        where = f"[{host}]" if ":" in host else host
        asked = in_url if path is None else _path(path)
        return Subject(
            None, f"http://{where}:{port}", asked, **request, app_dir=None, factory=False, python=None, env={}
        )
    return Subject(
        target,
        "",
        _path("/" if path is None else path),
        **request,
        app_dir=None if app_dir is None else str(Path(app_dir).expanduser()),
        factory=factory,
        python=None if python is None else str(python),
        env=dict(env or {}),
    )


def _path(path: str) -> str:
    """Path and query, as they go over the wire."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise InputError(f"path is {path!r}", 'A path begins with a slash, such as path="/predict?n=3".')
    return split_url(f"http://127.0.0.1{path}")[2]


def _harmless(method: str, yes: bool) -> str:
    if method not in SAFE_METHODS and not yes:
        raise InputError(
            f"{method} may change data, and it would be sent thousands of times",
            "If that does no harm (it works on a copy, or keeps nothing), say so with --yes (yes=True).",
        )
    return method


def _with_json(headers: Mapping[str, str], json_body: Any) -> Mapping[str, str]:
    if json_body is None or "content-type" in {name.lower() for name in headers}:
        return headers
    return {**headers, "content-type": "application/json"}


def _as_json(json_body: Any) -> bytes:
    try:
        return json.dumps(json_body, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the body cannot be written as JSON: {error}", "Give dicts, lists, text and numbers."
        ) from None
