"""Why a launch failed, read from what the server wrote last: the message names the value, the hint says what to do."""

import re

from helpers.errors import StartError

TAIL_LINES = 12

# The line in which a traceback ends: it follows an indented one, and is not a line of uvicorn's log, nor the end that
# gunicorn makes of itself afterwards.
_EXCEPTION = (
    r"^[ \t]+\S.*\n(?P<name>(?!(?:TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL|gunicorn\.errors\.HaltServer):)"
    r"[A-Za-z_][\w.]*(?:: .*)?)$"
)
# A traceback that ends so is the app's, unless it leads through the place where uvicorn itself begins to listen.
APPS_OWN_PORT = (
    r"^Traceback \(most recent call last\):\n"
    r"(?:(?!.*uvicorn[\\/]server\.py\", line \d+, in startup$)[ \t].*\n)+"
    r"OSError: \[Errno \d+\] (?:Address already in use|error while attempting to bind)"
)
_NO_MODULE = (
    "there is no module {name!r} to import the app from",
    "check the spelling, and that app_dir (now {app_dir}) is the folder that holds it",
)
_NO_ATTRIBUTE = (
    "module {module!r} has no {name!r}",
    "the part after the colon is the variable that holds the app, as in app = FastAPI()",
)
# Patterns of the programs' and Python's own messages, the most telling first; groups may be used in message and hint.
# MODULE and ATTRIBUTE stand for the two parts of the app's import string.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"No module named '(?P<name>uvicorn|gunicorn|granian)'",
        "the interpreter that runs it has no server program: No module named {name!r}",
        "install it there, or name another interpreter with python=",
    ),
    (r'Could not import module "(?P<name>[^"]+)"', *_NO_MODULE),
    (r"^RuntimeError: Could not import '(?P<name>[^']+)'", *_NO_MODULE),
    (r"^ModuleNotFoundError: No module named '(?P<name>MODULE)'", *_NO_MODULE),
    (r'Attribute "(?P<name>[^"]+)" not found in module "(?P<module>[^"]+)"', *_NO_ATTRIBUTE),
    (r"Failed to find attribute 'ATTRIBUTE' in 'MODULE'", *_NO_ATTRIBUTE),
    (r"^AttributeError: module 'MODULE' has no attribute 'ATTRIBUTE'", *_NO_ATTRIBUTE),
    (
        r"Error loading ASGI app factory: (?P<name>.+)",
        "the app factory failed: {name}",
        "with options={{'factory': True}} the part after the colon is a function without arguments; it returns the app",
    ),
    (
        APPS_OWN_PORT,
        "its module opens a port of its own, and that is taken",
        "each worker imports the app, and each start does: open that port in one process only, not at import",
    ),
    (
        r"asyncio\.run\(\) cannot be called from a running event loop",
        "its module starts a server (or an event loop) of its own while it is imported",
        "put `uvicorn.run(...)` under `if __name__ == '__main__':`, so that importing the app starts nothing",
    ),
    (
        r"(?:Application|ASGI lifespan) startup failed",
        "the app's start-up (lifespan) failed{exception}",
        "the traceback is in the last lines of its log; mend it, then start again",
    ),
    (
        r"(?:Errno \d+\] |error while attempting to bind.*: )(?P<name>address already in use)",
        "the port was taken by someone else while the server started",
        "start again, or leave out port= to get the next free one",
    ),
    (
        _EXCEPTION,
        "the app raised an exception: {name}",
        'the traceback is in the last lines of its log; `python -c "import {module}"` shows it too',
    ),
)


def start_error(log: str, *, app: str, app_dir: str, event: str) -> StartError:
    """The error for a launch that did not become ready; `event` says how it ended, where the log does not."""
    raised = re.findall(_EXCEPTION, log, re.MULTILINE)
    module, _, attribute = app.partition(":")
    words = {
        "app_dir": app_dir,
        "module": module,
        "name": attribute,
        "exception": f": {raised[-1]}" if raised else "",
    }
    for pattern, message, hint in _CAUSES:
        told = pattern.replace("MODULE", re.escape(module)).replace("ATTRIBUTE", re.escape(attribute))
        matches = list(re.finditer(told, log, re.MULTILINE))
        if matches:
            words |= {key: value for key, value in matches[-1].groupdict().items() if value is not None}
            return StartError(f"{app!r} did not start: {message.format(**words)}", hint.format(**words), tail(log))
    return StartError(f"{app!r} did not start: {event}", "the last lines of its log say how far it came", tail(log))


def tail(log: str) -> str:
    """The last lines, enough for the end of a traceback."""
    return "\n".join(log.rstrip().splitlines()[-TAIL_LINES:])
