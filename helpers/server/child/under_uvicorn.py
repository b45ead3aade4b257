"""uvicorn, started through `uvicorn.run` as the post does; told to tell by functions of its own that are wrapped."""

from typing import Any

import uvicorn
import uvicorn._subprocess


def serve(settings: "dict[str, Any]", launch: Any) -> None:
    if settings["workers"] == 1:  # as in the post, the number is not even mentioned
        _hook(launch.Slot(settings))
        uvicorn.run(settings["app"], **settings["arguments"])
    else:
        uvicorn._subprocess.subprocess_started = launch.uvicorn_worker
        uvicorn.run(settings["app"], workers=settings["workers"], **settings["arguments"])


def run_worker(slot: Any, *args: Any, **kwargs: Any) -> None:
    _hook(slot)
    uvicorn._subprocess.subprocess_started(*args, **kwargs)


def _hook(slot: Any) -> None:
    server, config = uvicorn.Server, uvicorn.Config
    startup, shutdown, load = server.startup, server.shutdown, config.load

    async def startup_and_tell(self: Any, *args: Any, **kwargs: Any) -> None:
        await startup(self, *args, **kwargs)
        if self.started:
            slot.serves()

    async def shutdown_and_tell(self: Any, *args: Any, **kwargs: Any) -> None:
        await shutdown(self, *args, **kwargs)
        slot.gone()

    def load_and_wrap(self: Any) -> None:
        load(self)
        self.loaded_app = slot.wrap(self.loaded_app)

    server.startup, server.shutdown = startup_and_tell, shutdown_and_tell  # type: ignore[method-assign]
    config.load = load_and_wrap  # type: ignore[method-assign]
