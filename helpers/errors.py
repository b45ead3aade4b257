"""The one family of errors: each says what is wrong with which value, and what to do next."""


class LabError(Exception):
    """Something the learner can mend. `str(error)` is one line; `hint` is the next step.

    The command line prints both and exits with `exit_code`; a notebook shows both instead of a traceback.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}"

    def _render_traceback_(self) -> list[str]:
        """IPython calls this instead of printing a traceback: the frames would only hide the message."""
        return [f"{type(self).__name__}: {self.message}", f"hint: {self.hint}"]


class InputError(LabError):
    """A value that was asked for cannot be used."""


class PortError(LabError):
    """The port cannot be had: taken, forbidden or out of range."""


class StartError(LabError):
    """The server did not become ready; `log_tail` holds the last lines it wrote."""

    def __init__(self, message: str, hint: str, log_tail: str = "") -> None:
        super().__init__(message, hint)
        self.log_tail = log_tail

    def __str__(self) -> str:
        tail = f"\nlast lines of its log:\n{self.log_tail}" if self.log_tail else ""
        return super().__str__() + tail

    def _render_traceback_(self) -> list[str]:
        tail = ["last lines of its log:", *self.log_tail.splitlines()] if self.log_tail else []
        return [*super()._render_traceback_(), *tail]


class StateError(LabError):
    """The call is fine, but not now: the server is stopped, or an earlier step is missing."""


class TargetError(LabError):
    """The load test's address cannot be used: not loopback, nobody listens, or it answers with an error."""


class EngineError(LabError):
    """The load engine ended before its run did."""


class StoreError(LabError):
    """A result cannot be written or read."""


class Cancelled(LabError):
    """A load test was stopped from outside; nothing of it is left running."""

    exit_code = 130
