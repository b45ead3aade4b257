"""What the panel's controls ask for: one value, and the line of code for each of them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Everything that can be chosen. `cores` is None where the server is not to be held to some of them.

    Nothing is checked here: the server and the load test check what they are given, and say what is wrong with it.
    """

    workers: int = 1
    cores: int | None = None
    loop: str = "auto"
    users: int = 16
    duration_s: float = 2.0
    path: str = "/cpu"
    burst: bool = False

    @property
    def launch(self) -> dict[str, Any]:
        """What a server can only be given when it is launched, as arguments of `Server`."""
        return {"workers": self.workers, "cpus": self.cores, "loop": self.loop}

    @property
    def load(self) -> dict[str, Any]:
        """What a load test is given, as arguments of `load_test`."""
        return {"users": self.users, "duration": self.duration_s, "burst": self.burst}

    def __str__(self) -> str:
        parts = [counted(self.workers, "worker"), "all cores" if self.cores is None else counted(self.cores, "core")]
        parts += [] if self.loop == "auto" else [f"loop {self.loop}"]
        return " · ".join(parts)


LAUNCH_FIELDS = ("workers", "cores", "loop")


def pending(wanted: Settings, running: Settings) -> list[str]:
    """What the controls ask for and the server does not have yet, in words: `workers: 2 wanted, 1 runs`."""
    return [
        f"{name}: {_word(getattr(wanted, name))} wanted, {_word(getattr(running, name))} {_verb(name)}"
        for name in LAUNCH_FIELDS
        if getattr(wanted, name) != getattr(running, name)
    ]


def lines_of_code(wanted: Settings) -> dict[str, str]:
    """For each control the line of code that does the same."""
    return {
        "workers": f"server.relaunch(workers={wanted.workers})",
        "cores": f"server.relaunch(cpus={wanted.cores})",
        "loop": f"server.relaunch(loop={wanted.loop!r})",
        "users": f"load_test(url, users={wanted.users})",
        "duration_s": f"load_test(url, duration={wanted.duration_s:g})",
        "path": f"url = server.url + {wanted.path!r}",
        "burst": f"load_test(url, burst={wanted.burst})",
    }


def experiment(wanted: Settings, server: dict[str, Any]) -> str:
    """The whole experiment as one cell; `server` are the further arguments of the panel's server."""
    arguments = {**server, **wanted.launch}
    app = arguments.pop("app", None)
    given = [] if app is None else [repr(app)]
    given += [f"{name}={value!r}" for name, value in arguments.items() if (name, value) not in LEFT_OUT]
    load = [f"users={wanted.users}", f"duration={wanted.duration_s:g}"] + (["burst=True"] if wanted.burst else [])
    return (
        "from helpers.load.run import load_test\n"
        "from helpers.server.server import Server\n\n"
        f"with Server({', '.join(given)}) as server:\n"
        "    print(server.processes())\n"
        f"    result = load_test(server.url + {wanted.path!r}, {', '.join(load)})\n"
        "print(result)\n"
    )


LEFT_OUT = (("cpus", None), ("loop", "auto"))


def counted(number: int, thing: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _word(value: object) -> str:
    return "all" if value is None else str(value)


def _verb(name: str) -> str:
    return {"workers": "running", "cores": "used", "loop": "running"}[name]
