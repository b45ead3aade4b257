"""The process that sends the load: started by `run`, told its job on stdin, tells its progress on stdout.

One process, one thread, one event loop (uvloop where it installs). Lines on stdout are JSON objects with an "event":
opening, window (measured time has begun), progress (4 a second), done; cannot (the job), error (in mid-run).
Records go to a file.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import time
from time import perf_counter_ns as clock_ns
from typing import Any

from helpers import lifeline, proc
from helpers.load.connection import Connection, Shared
from helpers.load.live import Live
from helpers.load.models import REFUSED_PAUSE_S, Closed, Open
from helpers.load.pacer import Pacer
from helpers.load.plan import Plan
from helpers.load.records import ABORTED, Recorder

PROGRESS_EVERY_S = 0.25
LOOK_EVERY_S = 0.01
SWEEP_S = 0.005  # time-outs are noticed within this much
SPARE_DESCRIPTORS = 64
ON_FAILURE = "Check that the disk is not full, then run the test again."


class CannotRun(Exception):
    """The job cannot be done on this system; args are message and hint."""


def main() -> None:
    lifeline.die_with_owner()
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner, who then ends this process
    job = json.loads(sys.stdin.readline())
    plan = Plan.from_json(job["plan"])
    try:
        _allow_connections(max(plan.connections, plan.max_inflight if plan.rate_per_s else 0))
        with open(job["records"], "wb", buffering=0) as file:
            _run(Engine(plan, job, Recorder(file)).run())
    except CannotRun as error:
        tell("cannot", message=error.args[0], hint=error.args[1])


def tell(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def _run(work: Any) -> None:
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(work)
    else:
        uvloop.run(work)


def _end_loudly(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A mistake in a callback (the disk of the records is full) must not go on as a measurement."""
    tell("error", message=f"the load engine failed: {context.get('exception')!r}", hint=ON_FAILURE)
    os._exit(1)


def _end_loudly_if_failed(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception():
        _end_loudly(task.get_loop(), {"exception": task.exception()})


def _allow_connections(connections: int) -> None:
    """Raise the limit of open files to what the system allows; CannotRun when that is not enough."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_DESCRIPTORS
    unlimited = hard == resource.RLIM_INFINITY
    if not unlimited and hard < wanted:
        raise CannotRun(
            f"{connections} connections need {wanted} open files, but this system allows {hard} per process "
            "(the hard limit of ulimit -n)",
            f"Use at most {max(1, hard - SPARE_DESCRIPTORS)}, or raise the limit and start again: 'nofile' in "
            f"/etc/security/limits.conf, or a container's --ulimit nofile={wanted}.",
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Engine:
    """One run: open the connections, warm up, measure, let the requests in hand finish."""

    def __init__(self, plan: Plan, job: dict[str, Any], recorder: Recorder) -> None:
        launch = job["launch"]
        self._plan = plan
        self._job = job
        self._recorder = recorder
        self._live = Live(recorder, plan.stop_if)
        self._stop = asyncio.Event()
        self._shared = Shared(
            request=plan.request_bytes(),
            address=(plan.address, plan.port),
            recorder=recorder,
            launch=None if launch is None else launch.encode(),
            expect_body=plan.expect_body,
            new_connections=plan.new_connections,
        )
        self._phase = "opening"
        self._timeout_ns = int(plan.timeout_s * 1e9)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_end_loudly)
        self._freeze_memory()
        rest_lag_ns = await self._choose_model(loop)
        work = (self._sweep(), self._progress(), self._live.listen_to_own_pulse())
        background = [loop.create_task(each) for each in work]
        for task in background:
            task.add_done_callback(_end_loudly_if_failed)
        tell("opening", connections=self._plan.connections)
        await self._open()
        self._phase = "warm-up"
        self._model.start()
        warmup_s = await self._warm_up()
        end_ns, after = await self._measure(rest_lag_ns, warmup_s)
        self._phase = "draining"
        await self._drain()
        for task in background:
            task.cancel()
        self._recorder.flush()
        tell(
            "done",
            t1_ns=end_ns,
            after=after,
            records=self._recorder.count,
            errors=dict(self._shared.errors),
            workers=self._worker_pids(),
            redirects=self._shared.redirects,
            **self._live.found(),
        )

    async def _choose_model(self, loop: asyncio.AbstractEventLoop) -> int:
        """Make the model of the plan; returns how late this machine wakes a process at rest, where that matters."""
        self._model: Closed | Open
        rest_lag_ns = 0
        if self._plan.users is not None:
            self._model = Closed(self._shared, self._plan)
        else:
            pacer = Pacer(loop)
            rest_lag_ns = await pacer.lag_at_rest_ns()
            self._model = Open(self._shared, self._plan, pacer)
        self._shared.model = self._model
        return rest_lag_ns

    async def _warm_up(self) -> float:
        """As long as was asked; if nothing was, until every user had an answer (or gave up). Returns its seconds."""
        begin_s = time.perf_counter()
        await asyncio.sleep(self._plan.warmup_s)
        while self._model.waiting and time.perf_counter() - begin_s < self._plan.warmup_cap_s:
            await asyncio.sleep(LOOK_EVERY_S)
        return time.perf_counter() - begin_s

    async def _measure(self, rest_lag_ns: int, warmup_s: float) -> tuple[int, dict[str, Any]]:
        """The measured window: from a snapshot to a snapshot, and not a request is begun after its end."""
        self._phase = "measuring"
        before = self._snapshot()
        self._live.begin(map(int, before["server_s"]))
        begin_ns = clock_ns()
        end_ns = begin_ns + int(self._plan.duration_s * 1e9)
        self._model.measure(begin_ns, end_ns)
        tell(
            "window", t0_ns=begin_ns, t1_ns=end_ns, before=before, rest_lag_ns=rest_lag_ns,
            refused_pause_s=REFUSED_PAUSE_S, warmup_s=warmup_s, unanswered=len(self._model.waiting),
        )  # fmt: skip
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), (end_ns - clock_ns()) / 1e9)
            end_ns = self._model.stop_ns = min(end_ns, clock_ns())
        self._live.end()
        after = self._snapshot()
        return end_ns, after

    def _worker_pids(self) -> dict[str, int]:
        return {pid.decode(): index for pid, index in self._shared.workers.items()}

    @staticmethod
    def _freeze_memory() -> None:
        # a collection in mid-run would be a pause of the measuring device; a run is too short to need one
        gc.collect()
        gc.freeze()
        gc.disable()

    async def _open(self) -> None:
        """Open the connections one after the other, each at its own time; returns when all are open or failed."""
        start_s = time.perf_counter()
        for index in range(self._plan.connections):
            wait_s = start_s + index * self._plan.apart_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            connection = Connection(self._shared, index)
            self._model.connections.append(connection)
            connection.open()
            self._model.opened(connection)
        deadline_s = time.perf_counter() + min(self._plan.timeout_s, 5.0)
        while self._shared.tasks and time.perf_counter() < deadline_s:
            await asyncio.sleep(0.002)

    async def _sweep(self) -> None:
        """Ends requests that ran out of time. One look at all connections, no oftener than the nearest deadline."""
        while True:
            now_ns = clock_ns()
            nearest_ns = now_ns + self._timeout_ns
            for connection in self._model.connections.copy():
                intended_ns = connection.intended_ns
                if intended_ns:
                    deadline_ns = intended_ns + self._timeout_ns
                    if deadline_ns <= now_ns:
                        connection.expire(now_ns)
                    elif deadline_ns < nearest_ns:
                        nearest_ns = deadline_ns
            await asyncio.sleep(max(SWEEP_S, (nearest_ns - now_ns) / 1e9))

    async def _progress(self) -> None:
        while True:
            self._recorder.flush()  # so that a run that is broken off has something to show
            tell(
                "progress",
                phase=self._phase,
                requests=self._recorder.count,
                failed=self._recorder.failed,
                workers=self._worker_pids(),
                **self._live.look(self._model.connections),
            )
            if self._live.stopped_early is not None:
                self._stop.set()
            await asyncio.sleep(PROGRESS_EVERY_S)

    async def _drain(self) -> None:
        """Wait for the requests in hand; what the time-out has not ended by then is recorded as aborted."""
        deadline_ns = clock_ns() + self._timeout_ns + int(4 * SWEEP_S * 1e9)
        while any(one.intended_ns for one in self._model.connections) and clock_ns() < deadline_ns:
            await asyncio.sleep(SWEEP_S)
        now_ns = clock_ns()
        for one in self._model.connections:
            if one.intended_ns:
                self._recorder.add(
                    one.intended_ns, one.sent_ns, one.first_ns, now_ns, 0, 0, one.index, 0, ABORTED, one.flags
                )
            one.close()

    def _snapshot(self) -> dict[str, Any]:
        """CPU seconds of everybody who matters, to be subtracted from a later one."""
        roots: list[int] = self._job["server_pids"]
        pids = {pid for root in roots for pid in (root, *proc.descendants(root))}
        used = {pid: proc.cpu_s(pid) for pid in pids}
        return {
            "at_ns": clock_ns(),
            "engine_s": time.process_time(),
            "run_delay_ns": proc.run_delay_ns(None),
            "busy_s": proc.machine_busy_s(),
            "idle_s": proc.machine_idle_s(),
            "steal_s": proc.machine_steal_s(),
            "owner_s": proc.cpu_s(self._job["owner_pid"]),
            "server_s": {str(pid): seconds for pid, seconds in used.items() if seconds is not None},
            "server_ended_s": sum(map(proc.ended_children_cpu_s, pids)),
        }


if __name__ == "__main__":
    main()
    # the interpreter's own tidying up of thousands of connections takes time and tells nobody anything
    os._exit(0)
