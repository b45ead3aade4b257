"""The Python load generators that engine_cost.py compares with, each a short closed loop; and a tiny app for uvicorn.

python clients.py aiohttp|locust|httpx-each|httpx-shared URL USERS SECONDS      prints requests and CPU seconds
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

BODY = b"ok"


async def tiny_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The least an ASGI app can do, so that uvicorn itself is what is loaded."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": BODY})


Result = tuple[int, float]  # requests, CPU seconds


async def loop(duration_s: float, requests: list[Callable[[], Awaitable[None]]]) -> Result:
    """Each of `requests` over and over again, one after the other, all of them side by side."""
    end_s, begin_cpu_s = time.monotonic() + duration_s, time.process_time()
    counts = await asyncio.gather(*(until(end_s, request) for request in requests))
    return sum(counts), time.process_time() - begin_cpu_s


async def until(end_s: float, request: Callable[[], Awaitable[None]]) -> int:
    count = 0
    while time.monotonic() < end_s:
        await request()
        count += 1
    return count


async def with_aiohttp(url: str, users: int, duration_s: float) -> Result:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def request() -> None:
            async with session.get(url) as response:
                await response.read()

        return await loop(duration_s, [request] * users)


async def with_httpx(url: str, users: int, duration_s: float, *, shared: bool) -> Result:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    clients = [
        httpx.AsyncClient(trust_env=False, verify=False, limits=limits, timeout=60)
        for _ in range(1 if shared else users)
    ]

    def user(client: httpx.AsyncClient) -> Callable[[], Awaitable[None]]:
        async def request() -> None:
            (await client.get(url)).raise_for_status()

        return request

    try:
        return await loop(duration_s, [user(clients[number % len(clients)]) for number in range(users)])
    finally:
        for client in clients:
            await client.aclose()


def with_locust(url: str, users: int, duration_s: float) -> Result:
    """Locust's FastHttpUser as its own runner drives it, without its web page."""
    import gevent
    import locust.stats
    from locust import FastHttpUser, constant, task
    from locust.env import Environment

    locust.stats.CONSOLE_STATS_INTERVAL_SEC = 3600

    class User(FastHttpUser):
        wait_time = constant(0)
        host = url.rstrip("/")

        @task
        def request(self) -> None:
            self.client.get("/")

    environment = Environment(user_classes=[User])
    runner = environment.create_local_runner()
    begin_cpu_s = time.process_time()
    runner.start(users, spawn_rate=users)
    gevent.sleep(duration_s)
    found = environment.stats.total.num_requests, time.process_time() - begin_cpu_s
    runner.quit()
    return found


def main() -> None:
    kind, url, users, duration_s = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    if kind == "locust":
        import gevent.monkey

        gevent.monkey.patch_all()
        print(*with_locust(url, users, duration_s))
        return
    work = {
        "aiohttp": lambda: with_aiohttp(url, users, duration_s),
        "httpx-each": lambda: with_httpx(url, users, duration_s, shared=False),
        "httpx-shared": lambda: with_httpx(url, users, duration_s, shared=True),
    }[kind]
    print(*asyncio.run(work()))


if __name__ == "__main__":
    main()
