"""What a request costs the load engine, beside other load generators on the same server, and how that grows.

The server has the first core and the client the last; the rounds are interleaved, and the ratios are medians of the
ratios within one round.
"""

import shutil
import statistics

from helpers.load.run import load_test
from tests.benchmarks.findings import Finding, Report
from tests.benchmarks.rivals import Cost, clients, engine

USERS = 64
MANY = 5_000
GROWTH_RATE_PER_S = 5_000.0
# the engine's cost may be at most so many times the other's
TARGETS = {
    "nginx": {"wrk": 2.2, "hey": 0.6, "aiohttp": 0.2},
    "uvicorn": {"hey": 1.0, "aiohttp": 0.55, "locust": 0.5, "httpx (a client per user)": 0.07},
}
RATE_FROM_ONE_CORE = 45_000
QUIET = 0.15  # cores


def compare(report: Report, server: str, url: str) -> None:
    """CPU per request of every client, interleaved, and the engine's ratio to each."""
    chosen = clients(server)
    costs: dict[str, list[Cost]] = {name: [] for name in chosen}
    report.costs[server] = costs
    for number in range(report.rounds):
        for name in list(chosen) if number % 2 == 0 else list(reversed(chosen)):
            costs[name].append(chosen[name](url, USERS, report.duration_s))
    for name, runs in costs.items():
        report.add(Finding(server, f"{name}: CPU", "us/request", [run.us for run in runs]))
        rates = [run.requests / run.wall_s for run in runs]
        least = RATE_FROM_ONE_CORE if (server, name) == ("nginx", "engine") else None
        report.add(Finding(server, f"{name}: rate", "requests/s", rates, at_least=least))
    others = [run.others for run in costs["engine"] if run.others is not None]
    note = "" if statistics.median(others) <= QUIET else "this machine was not at rest: measure again when it is"
    report.add(Finding(server, "CPU of other programs", "cores", others, note=note))
    for name, runs in costs.items():
        if name != "engine":
            ratios = [mine.us / other.us for mine, other in zip(costs["engine"], runs, strict=True)]
            report.add(Finding(server, f"CPU: engine / {name}", "x", ratios, at_most=TARGETS[server].get(name)))


def growth(report: Report, url: str) -> None:
    """The cost at one fixed rate with few and with many connections."""
    found: dict[int, list[float]] = {USERS: [], MANY: []}
    for number in range(report.rounds):
        for users in (USERS, MANY) if number % 2 == 0 else (MANY, USERS):
            found[users].append(paced(report, url, users))
    for users, costs in found.items():
        report.add(Finding("growth", f"{users} connections, {GROWTH_RATE_PER_S:g} requests/s", "us/request", costs))
    ratios = [many / few for few, many in zip(found[USERS], found[MANY], strict=True)]
    report.add(Finding("growth", f"CPU: {MANY} / {USERS} connections", "x", ratios, at_most=1.5))


def paced(report: Report, url: str, users: int) -> float:
    """us per request of `users` who think, so that together they send the rate; the window alone."""
    round_s = users / GROWTH_RATE_PER_S
    result = load_test(
        url, users=users, think=round_s, duration=report.duration_s, warmup=2 * round_s + 0.5, progress=False
    )
    if abs(result.achieved_per_s / GROWTH_RATE_PER_S - 1) > 0.2:  # the loop's timers have steps of 1 ms
        report.tell(f"{users} connections: {result.achieved_per_s:.0f} requests/s came about: {result.reasons}")
    assert result.engine_cpu_us_per_request is not None
    return result.engine_cpu_us_per_request


def one_connection(report: Report, url: str) -> None:
    """With a single connection there is nothing to share a wake-up with."""
    if not shutil.which("wrk"):
        return
    wrk = clients("nginx")["wrk"]
    pairs = []
    for number in range(report.rounds):
        both = [
            (run, run(url, 1, report.duration_s).us) for run in ((engine, wrk) if number % 2 == 0 else (wrk, engine))
        ]
        costs = dict(both)
        pairs.append((costs[engine], costs[wrk]))
    report.add(Finding("one", "engine, 1 connection", "us/request", [mine for mine, _ in pairs]))
    report.add(Finding("one", "wrk, 1 connection", "us/request", [theirs for _, theirs in pairs]))
    report.add(Finding("one", "CPU: engine / wrk", "x", [mine / theirs for mine, theirs in pairs], at_most=1.0))
