"""What to change, for each verdict: in words, and as code that fits the app's own endpoint."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from helpers.diagnose.endpoint import Endpoint, in_a_thread, is_async
from helpers.diagnose.prober import DEFAULT_THREADS
from helpers.diagnose.seen import Looks, Probe
from helpers.diagnose.subject import Subject
from helpers.diagnose.trials import MORE_THREADS, Trial

TASKS_IN_LINE = {  # what the offending line calls, and what awaits in its place
    "time.sleep": "await asyncio.sleep(...)",
    "requests.": "answer = await client.get(...)  # one httpx.AsyncClient, made in lifespan",
    "httpx.": "answer = await client.get(...)  # one httpx.AsyncClient, made in lifespan",
    "urlopen": "answer = await client.get(...)  # one httpx.AsyncClient, made in lifespan",
    "subprocess.": "process = await asyncio.create_subprocess_exec(...); await process.wait()",
    "sqlite3": "the driver aiosqlite",
    "psycopg": "psycopg's AsyncConnection, or asyncpg",
    "redis.": "redis.asyncio",
}


@dataclass(frozen=True)
class Fix:
    """What to change, a short example, and how many times the answers that should give (None: cannot be told)."""

    what: str
    code: str
    expected_gain: float | None


@dataclass(frozen=True)
class Case:
    """All that the advice rests on."""

    subject: Subject
    endpoint: Endpoint
    probe: Probe | None  # the load at which it was decided
    request_s: float  # one request alone
    held: float | None  # share of the time for which code holds the event loop up, and uses no CPU
    looks: Looks
    trials: tuple[Trial, ...]
    usable_cpus: int

    @property
    def at_once(self) -> float:
        """Requests that really got on at one moment."""
        return 0.0 if self.probe is None else self.probe.per_s * self.request_s

    def gain_until_full(self) -> float | None:
        """What nobody waiting in line would bring: all users at once, or one full core, whichever comes first."""
        if self.probe is None or not self.at_once:
            return None
        by_users = self.probe.users / self.at_once
        by_core = 1.0 / self.probe.cores if self.probe.cores else by_users
        return max(1.0, min(by_users, by_core))

    def head(self, kind: str) -> str:
        """The first lines of the endpoint, as a function of that kind."""
        return self.endpoint.head(kind=kind, method=self.subject.method)


def fix(verdict: str, case: Case) -> Fix:
    """The advice for the verdict."""
    return _FIXES[verdict](case)


def launch_line(case: Case, workers: int) -> str:
    """The command that starts the app with so many workers."""
    name = case.subject.app or "mypkg.main:app"
    factory = " --factory" if case.subject.factory else ""
    return f"uvicorn {name}{factory} --workers {workers}"


# ------------------------------------------------------------------------------------------------ one per verdict


def _cpu_bound(case: Case) -> Fix:
    cores = case.usable_cpus
    place = case.looks.place(in_loop=True) or case.looks.place(in_loop=False)
    where = f"\n\n# the CPU goes here, most of all: {place.frame.place}, in {place.frame.function}()" if place else ""
    if cores == 1:
        what = "One core is all there is here, and it is full: do less work per request, or get a second core."
        return Fix(what, f"{launch_line(case, 1)}{where}", None)
    what = f"Start as many workers as cores may be used here ({cores}): each has a GIL, and so a core, of its own."
    return Fix(what, f"{launch_line(case, cores)}{where}", float(cores))


def _event_loop_blocked(case: Case) -> Fix:
    endpoint, place = case.endpoint, case.looks.place(in_loop=True)
    source = place.frame.source if place else ""
    line = f"# {place.frame.place} holds the event loop:\n#     {source}\n" if place else ""
    awaits = next((awaited for call, awaited in TASKS_IN_LINE.items() if call in source), None)
    if place is not None and is_async(place.frame.file, place.frame.line) is False:
        name = place.frame.function
        what = f"Nothing may wait inside the event loop. It stands in {name}(), which an `async def` calls as it is."
        call = f"# in the `async def` that calls it, hand that call to a thread:\nawait asyncio.to_thread({name}, ...)"
        return Fix(what, f"{line}\n{call}", case.gain_until_full())
    threaded = in_a_thread(source)
    in_thread = threaded or "await asyncio.to_thread(the_blocking_call, its, arguments)"
    inside = place is not None and place.frame.function == endpoint.name
    options = [f"# await it:\n{awaits}"] if awaits else []
    options.append(f"# or leave it, in a thread:\n{in_thread}" if awaits else f"# hand it to a thread:\n{in_thread}")
    if inside and endpoint.framework != "ASGI":
        whole = case.head("def")
        options.append(f"# or the whole endpoint in a thread, if nothing in it is awaited:\n{whole}\n    ...")
    where = "" if inside or place is None else f" It stands in {place.frame.function}(), not in the endpoint itself."
    what = f"Nothing may wait inside the event loop: await it, or hand it to a thread.{where}"
    return Fix(what, line + "\n\n".join(options), case.gain_until_full())


def _threadpool_exhausted(case: Case) -> Fix:
    probe = case.probe
    size = (probe.threads_size if probe else None) or DEFAULT_THREADS
    more = next((trial for trial in case.trials if trial.change.endswith("threads")), None)
    place = case.looks.place(in_loop=False)
    where = f"# its threads stand here: {place.frame.place}, in {place.frame.function}()\n" if place else ""
    code = (
        f"{where}from contextlib import asynccontextmanager\nimport anyio.to_thread\n\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        f"    anyio.to_thread.current_default_thread_limiter().total_tokens = {MORE_THREADS * size}  # per worker\n"
        "    yield\n\n"
        "app = FastAPI(lifespan=lifespan)\n\n"
        "# or without threads, where what it waits for can be awaited:\n"
        f"{case.head('async def')}\n    answer = await client.get(...)"
    )
    in_threads = [each.name for each in case.endpoint.in_threads]
    who = (
        f"`{in_threads[0]}()` is `def`, so each request takes a thread" if in_threads else "Each request takes a thread"
    )
    what = (
        f"{who}, and a worker has {size}: give it more, or await what the threads wait for. Workers help too, by "
        "bringing their own threads."
    )
    return Fix(what, code, None if more is None else more.predicted)


def _lock_bound(case: Case) -> Fix:
    many = max(1, round(case.at_once))
    through = "one request" if many == 1 else f"{many} requests"
    if case.looks.pools["executor"] > 0:
        what = f"A pool of threads inside each worker lets {through} at a time through: make it larger."
        code = (
            "# where it is asyncio's own (asyncio.to_thread, run_in_executor(None, ...)), in lifespan:\n"
            "asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=64))\n\n"
            "# where it is yours:\npool = ThreadPoolExecutor(max_workers=64)"
        )
        return Fix(what, code, case.gain_until_full())
    what = (
        f"A lock or a pool inside each worker lets {through} at a time through, while CPU and event loop are free: "
        "widen the pool, or hold the lock for less. Workers only multiply it."
    )
    place = case.looks.place(in_loop=False)
    where = f"# threads stand here: {place}\n" if place else ""
    code = (
        f"{where}# look for a lock, a semaphore or a pool of size {many}\n\n"
        "# a pool: as many places as requests shall get on at once\n"
        "engine = create_engine(url, pool_size=64, max_overflow=0)  # to a database\n"
        "client = httpx.AsyncClient(limits=httpx.Limits(max_connections=64))  # to a service\n\n"
        "# a lock: only around what must not happen twice at once, never around what waits\n"
        f"{case.head(case.endpoint.kind)}\n"
        f"    answer = {'await ' if case.endpoint.kind == 'async def' else ''}slow_part()\n"
        f"    {'async with' if case.endpoint.kind == 'async def' else 'with'} lock:\n"
        "        state.update(answer)"
    )
    return Fix(what, code, case.gain_until_full())


def _downstream_bound(case: Case) -> Fix:
    many = max(1, round(case.at_once))
    place = case.looks.place(in_loop=False) or case.looks.place(in_loop=True)
    where = f"# it is waited for here: {place}\n" if place else ""
    code = (
        f"{where}# refuse early instead of queueing: an answer in time for those who get in (in each worker)\n"
        f"{_gate_in_a_thread(case, many) if case.endpoint.kind == 'def' else _gate_that_is_awaited(case, many)}"
    )
    what = (
        f"What all workers wait for (a database, a service, a file's lock) lets {many} at a time through. Neither "
        "workers nor cores change that: let it admit more, ask it less, or ask it for less."
    )
    return Fix(what, code, None)


def _gate_that_is_awaited(case: Case, many: int) -> str:
    return (
        f"gate = asyncio.Semaphore({many})\n\n"
        f"{case.head('async def')}\n"
        "    if gate.locked():\n"
        '        raise HTTPException(503, headers={"Retry-After": "1"})\n'
        "    async with gate:\n"
        "        ..."
    )


def _gate_in_a_thread(case: Case, many: int) -> str:
    return (
        f"gate = threading.BoundedSemaphore({many})\n\n"
        f"{case.head('def')}\n"
        "    if not gate.acquire(blocking=False):\n"
        '        raise HTTPException(503, headers={"Retry-After": "1"})\n'
        "    try:\n"
        "        ...\n"
        "    finally:\n"
        "        gate.release()"
    )


def _native_parallel(case: Case) -> Fix:
    code = (
        "# as many workers as cores, each with one thread in its library:\n"
        f"OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 {launch_line(case, case.usable_cpus)}\n\n"
        "# or one worker, and no more calls at once than cores:\n"
        f"gate = asyncio.Semaphore({case.usable_cpus})"
    )
    what = (
        "Compiled code releases the GIL, so one worker uses several cores already; more workers fight for them. "
        "Change it only if a measurement says so: one library thread per worker, or a gate in front of the calls."
    )
    return Fix(what, code, 1.0)


def _scales_by_awaiting(case: Case) -> Fix:
    users = case.probe.users if case.probe else 0
    what = (
        f"Nothing to change for {users} users: each is waited for without holding anybody else up. A second worker "
        "gives no more answers; it is worth having as a spare, should one die."
    )
    return Fix(what, launch_line(case, 1), 1.0)


def _nothing(case: Case) -> Fix:
    if case.subject.app is None:
        inside = f"python3 -m helpers diagnose mypkg.main:app --path {shlex.quote(case.subject.path)}"
        return Fix("Give the app's import string: then a second worker can be tried.", inside, None)
    return Fix("Measure again, with what stood in the way gone.", case.subject.command(), None)


_FIXES: dict[str, Callable[[Case], Fix]] = {
    "cpu_bound": _cpu_bound,
    "event_loop_blocked": _event_loop_blocked,
    "threadpool_exhausted": _threadpool_exhausted,
    "lock_bound": _lock_bound,
    "downstream_bound": _downstream_bound,
    "native_parallel": _native_parallel,
    "scales_by_awaiting": _scales_by_awaiting,
    "client_bound": _nothing,
    "inconclusive": _nothing,
}
