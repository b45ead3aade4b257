"""An API that answers with errors: which, why by its own log, and which argument is missing by its own schema."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from helpers.diagnose.seen import Answer

SAID_CHARACTERS = 300
NAMED_MOST = 3
TRACEBACK_LINES = 14
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t|+].*\n|\n)*?(\S.*)$", re.MULTILINE)


def why(answer: Answer, schema: Mapping[str, Any], path: str, method: str) -> str:
    """What the answer says of the request, in one sentence; for a missing argument, which one and where."""
    if answer.status == 0:
        return f"no answer came: {answer.failure}"
    if answer.status == 422:
        missing = list(_unprocessable(answer.body))
        more = f"; and {len(missing) - NAMED_MOST} more" if len(missing) > NAMED_MOST else ""
        return (
            "the request lacks, or has wrongly: " + "; ".join(missing[:NAMED_MOST]) + more if missing else _said(answer)
        )
    if answer.status in (401, 403):
        wanted = list(_credentials(schema, path, method))
        return f"it wants {' or '.join(wanted)}" if wanted else f"it wants credentials: {_said(answer)}"
    if answer.status == 429:
        return "it limits the rate of requests; a limit is no bottleneck, so lift it for the diagnosis"
    return _said(answer)


def traceback(log: str) -> tuple[str, str]:
    """The last exception in the log, in one line, and its traceback (the end of a long one); both empty without one."""
    found = list(_TRACEBACK.finditer(log))
    if not found:
        return "", ""
    lines = found[-1][0].splitlines()
    kept = lines if len(lines) <= TRACEBACK_LINES else [lines[0], "  ...", *lines[2 - TRACEBACK_LINES :]]
    return found[-1][1].strip(), "\n".join(kept)


def _said(answer: Answer) -> str:
    text = " ".join(answer.body[: 4 * SAID_CHARACTERS].decode(errors="replace").split())
    return f"it said: {text[:SAID_CHARACTERS]}" if text else "it said nothing"


def _unprocessable(body: bytes) -> Iterator[str]:
    """FastAPI's own account: where the value belongs, its name, and what is wrong with it."""
    try:
        detail = json.loads(body)["detail"]
        for each in detail:
            where, *names = map(str, each["loc"])
            yield f"{'.'.join(names) or where} ({where}): {each['msg']}"
    except (ValueError, KeyError, TypeError):
        return


def _credentials(schema: Mapping[str, Any], path: str, method: str) -> Iterator[str]:
    """The security schemes and the required headers and cookies of the operation, by the OpenAPI schema."""
    operation = _operation(schema, path, method)
    schemes = schema.get("components", {}).get("securitySchemes", {})
    for names in operation.get("security", schema.get("security", ())):
        for name in names:
            yield _scheme(name, schemes.get(name, {}))
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") in ("header", "cookie") and parameter.get("required"):
            yield f"the {parameter['in']} `{parameter['name']}`"


def _scheme(name: str, scheme: Mapping[str, Any]) -> str:
    if scheme.get("type") == "apiKey":
        return f"the {scheme.get('in')} `{scheme.get('name')}` ({name})"
    if scheme.get("type") == "http":
        return f"the header `Authorization: {str(scheme.get('scheme', '')).capitalize()} ...` ({name})"
    return f"the header `Authorization: Bearer ...` ({name})"


def _operation(schema: Mapping[str, Any], path: str, method: str) -> Mapping[str, Any]:
    """The operation whose path fits; a part in braces fits anything."""
    asked = path.partition("?")[0]
    for pattern, operations in schema.get("paths", {}).items():
        if re.fullmatch(re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(pattern)), asked):
            found: Mapping[str, Any] = operations.get(method.lower(), {})
            return found
    return {}
