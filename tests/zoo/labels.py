"""The zoo: small apps whose limit is known, so that a diagnosis of each can be told right or wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Animal:
    """An app of this folder, the request to make, and what a diagnosis must say of it."""

    name: str
    app: str
    verdict: str
    path: str = "/"
    findings: tuple[str, ...] = ()  # those that must be reported; others may be
    factory: bool = False
    method: str = "GET"
    json_body: object = None
    headers: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    downstream_admits: int = 0  # > 0: it asks helpers.demo.downstream:app, which serves so many at a time
    quick: bool = False  # in the suite of every day


ITEMS = [
    {
        "id": n,
        "name": f"item number {n}",
        "price": f"{n}.50",
        "ordered": "2026-11-24T12:00:00Z",
        "tags": ["a", "b"],
        "isbn": "978-0-306-40615-7",
    }
    for n in range(500)
]

BLOCKED, THREADS, OUTSIDE = "event_loop_blocked", "threadpool_exhausted", "downstream_bound"
LOCK, NATIVE, CPU, AWAITS, FAILING = "lock_bound", "native_parallel", "cpu_bound", "scales_by_awaiting", "failing"

ANIMALS: tuple[Animal, ...] = (
    Animal("blocking: time.sleep in async def", "blocking:sleeping", BLOCKED),
    Animal("blocking: HTTP client in async def", "blocking:requests_style", BLOCKED, downstream_admits=64),
    Animal("blocking: sqlite in async def", "blocking:sqlite", BLOCKED),
    Animal("blocking: subprocess.run in async def", "blocking:subprocess_run", BLOCKED),
    Animal("blocking: one request in five", "blocking:one_in_five", BLOCKED, quick=True),
    Animal("blocking: pure ASGI middleware", "blocking:middleware", BLOCKED),
    Animal("blocking: BaseHTTPMiddleware around def", "blocking:dispatch", BLOCKED),
    Animal("blocking: async dependency", "blocking:dependency", BLOCKED),
    Animal("blocking: Starlette endpoint", "blocking:starlette", BLOCKED),
    Animal("blocking: Starlette, a retry loop", "blocking:retries", BLOCKED, path="/retry"),
    Animal("blocking: bare ASGI", "blocking:bare", BLOCKED),
    Animal("blocking: between the chunks of a stream", "blocking:streaming", BLOCKED),
    Animal("blocking: half work, half wait", "blocking:half", BLOCKED),
    Animal("threads: time.sleep in def", "threads:sleeping", THREADS),
    Animal("threads: def dependency of async def", "threads:dependency", THREADS),
    Animal("threads: sqlite in def", "threads:sqlite", THREADS),
    Animal("threads: Starlette def endpoint", "threads:starlette", THREADS),
    Animal("threads: HTTP client in def", "threads:requests_style", THREADS, downstream_admits=500),
    Animal("threads: ten of them, set in lifespan", "threads:ten", THREADS, quick=True),
    Animal("threads: run_in_threadpool in async def", "threads:handed_over", THREADS),
    Animal("threads: POST in def", "threads:posting", THREADS, "/orders", method="POST", json_body={"name": "tea"}),
    Animal("shared: service of four, httpx", "shared:queries", OUTSIDE, downstream_admits=4),
    Animal("shared: service of three, def", "shared:reports", OUTSIDE, downstream_admits=3),
    Animal("shared: file lock in def", "shared:file_lock", OUTSIDE, quick=True),
    Animal("shared: sqlite with one writer", "shared:one_writer", OUTSIDE),
    Animal("shared: service of two, Starlette", "shared:starlette", OUTSIDE, downstream_admits=2),
    Animal("locks: asyncio.Lock", "locks:async_lock", LOCK, quick=True),
    Animal("locks: asyncio.Semaphore(3)", "locks:semaphore", LOCK),
    Animal("locks: threading.Lock in def", "locks:thread_lock", LOCK),
    Animal("locks: httpx with two connections", "locks:connections", LOCK, downstream_admits=500),
    Animal("locks: executor of two threads", "locks:executor", LOCK),
    Animal("locks: queue with one consumer", "locks:queue", LOCK),
    Animal("locks: asyncio.to_thread", "locks:to_thread", LOCK),
    Animal("locks: bare ASGI", "locks:bare", LOCK),
    Animal("native: numpy in def", "native:matrix", NATIVE),
    Animal("native: password hashing in def", "native:password", NATIVE, quick=True),
    Animal("native: zlib in def", "native:compression", NATIVE),
    Animal("native: Starlette, a checksum", "native:starlette", NATIVE),
    Animal("working: Python loop in async def", "working:loop", CPU, quick=True),
    Animal("working: Python loop in def", "working:loop_def", CPU),
    Animal("working: JSON", "working:as_json", CPU),
    Animal("working: regular expression", "working:regex", CPU),
    Animal("working: pydantic, POST", "working:validation", CPU, "/items", method="POST", json_body=ITEMS),
    Animal("working: zlib in async def", "working:compression", CPU),
    Animal("working: jinja2 in def", "working:template", CPU),
    Animal("working: Starlette endpoint", "working:starlette", CPU),
    Animal("working: strings, Starlette def", "working:strings", CPU, "/export.csv"),
    Animal("working: response model", "working:listing", CPU),
    Animal("awaiting: asyncio.sleep", "awaiting:sleeping", AWAITS, quick=True),
    Animal("awaiting: httpx", "awaiting:client", AWAITS, downstream_admits=500),
    Animal("awaiting: stream", "awaiting:streaming", AWAITS),
    Animal("awaiting: bare ASGI", "awaiting:bare", AWAITS),
    Animal("awaiting: factory", "awaiting:create_app", AWAITS, "/wait", factory=True),
    Animal("awaiting: Starlette", "awaiting:starlette", AWAITS),
    Animal("failing: KeyError", "failing:key_error", FAILING, quick=True),
    Animal("failing: argument missing", "failing:missing_argument", FAILING, "/predict", quick=True),
    Animal("awaiting: argument given", "failing:missing_argument", AWAITS, "/predict?n=3"),
    Animal("failing: header missing", "failing:guarded", FAILING, "/private", quick=True),
    Animal(
        "awaiting: header given", "failing:guarded", AWAITS, "/private", headers=(("Authorization", "Bearer letmein"),)
    ),
    Animal("failing: 503 above six", "failing:crowded", FAILING),
    Animal("failing: no database", "failing:no_database", FAILING, quick=True),
    Animal("failing: environment variable missing", "failing:needs_variable", FAILING),
    Animal("awaiting: environment variable given", "failing:needs_variable", AWAITS, env=(("SHOP_CURRENCY", "EUR"),)),
    Animal(
        "failing: field of the body missing",
        "failing:posting",
        FAILING,
        "/orders",
        method="POST",
        json_body={"item": 1},
    ),
    Animal("failing: bare ASGI breaks off", "failing:bare", FAILING),
    Animal("finding: first request loads", "finding:lazy", AWAITS, findings=("first_requests_slow",)),
    Animal("finding: first request works", "finding:lazy_work", CPU, "/search", ("first_requests_slow",)),
    Animal("finding: slow lifespan", "finding:slow_lifespan", AWAITS, findings=("slow_start_up",)),
    Animal("finding: slow factory", "finding:create_slowly", CPU, findings=("slow_start_up",), factory=True),
    Animal("finding: history is walked", "finding:drifting", CPU, findings=("drifting",), quick=True),
    Animal("finding: list is searched", "finding:drifting_list", CPU, findings=("drifting",)),
    Animal("finding: memory grows, awaiting", "finding:growing", AWAITS, findings=("memory_grows",)),
    Animal("finding: memory grows, working", "finding:growing_cache", CPU, findings=("memory_grows",)),
    Animal("finding: counter per worker", "finding:counter", AWAITS, findings=("differs_between_workers",)),
    Animal("finding: token per worker", "finding:instance", AWAITS, findings=("differs_between_workers",)),
    Animal("finding: key per worker", "finding:signing", CPU, "/sign", ("differs_between_workers",)),
    Animal("finding: one worker is warm", "finding:uneven", AWAITS, findings=("uneven_share",)),
    Animal("finding: one worker leads, bare ASGI", "finding:bare_uneven", AWAITS, findings=("uneven_share",)),
    Animal("finding: eight megabytes", "finding:large", AWAITS, "/download", ("large_bodies",)),
    Animal("finding: export of seven megabytes", "finding:large_export", CPU, "/export.csv", ("large_bodies",)),
    Animal("finding: connections close, awaiting", "finding:closing", AWAITS, findings=("keep_alive",)),
    Animal("finding: connections close, working", "finding:closing_work", CPU, findings=("keep_alive",)),
)
