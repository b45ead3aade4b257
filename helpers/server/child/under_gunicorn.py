"""gunicorn with its own ASGI worker, as `gunicorn -k asgi module:app`; told to tell by the hooks it has for that."""

from typing import Any

from gunicorn.app.wsgiapp import WSGIApplication


def serve(settings: "dict[str, Any]", launch: Any) -> None:
    _Gunicorn(settings, launch).run()


class _Gunicorn(WSGIApplication):  # type: ignore[misc]
    """Its settings come from the launch alone: not from a command line, an environment variable or a gunicorn.conf.py.

    They are read again at each SIGHUP.
    """

    def __init__(self, settings: "dict[str, Any]", launch: Any) -> None:
        self._settings = settings
        self._launch = launch
        self._workers = settings["workers"]
        super().__init__()

    def load_config(self) -> None:
        self.app_uri = self._settings["app"]
        hooks = {
            "post_fork": self._forked,
            "post_worker_init": self._loaded,
            "worker_exit": self._exited,
            "nworkers_changed": self._counted,
        }
        for name, value in {**self._settings["arguments"], **hooks, "workers": self._workers}.items():
            self.cfg.set(name, value)

    def _forked(self, _arbiter: Any, worker: Any) -> None:
        worker.lab_slot = self._launch.worker_slot()

    def _loaded(self, worker: Any) -> None:
        worker.asgi = worker.lab_slot.wrap(worker.asgi)
        notify = worker.notify

        def notify_and_tell() -> None:  # a worker's first sign of life is given when its sockets are being served
            notify()
            worker.notify = notify
            worker.lab_slot.serves()

        worker.notify = notify_and_tell

    def _exited(self, _arbiter: Any, worker: Any) -> None:
        if slot := getattr(worker, "lab_slot", None):
            slot.gone()

    def _counted(self, _arbiter: Any, workers: int, _before: "int | None") -> None:
        self._workers = workers  # what SIGTTIN and SIGTTOU have made of it outlives a SIGHUP
