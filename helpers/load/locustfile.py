"""A plan as a Locust file: the same load from more machines than one, once a single one is no longer enough."""

import math
from pprint import pformat

from helpers.load.plan import Plan

_HEAD = '''"""{title}: the same plan for Locust (https://locust.io).

On this machine:        locust -f FILE --headless
On several machines:    locust -f FILE --headless --master --expect-workers 2
    and on each of two: locust -f FILE --worker --master-host=ADDRESS

Locust measures from the moment a request is sent: what had to wait for a free user is not seen in its times, and a
time-out counts as a failure with the time it took. The first {warmup} s are warm-up: the statistics begin
after them.{more}
"""
'''

_VALUES = """
import random
import time

import gevent
from locust import FastHttpUser, LoadTestShape{imported}, task

HOST = {host!r}
METHOD, TARGET = {method!r}, {target!r}
HEADERS = {headers}
BODY = {body!r}
EXPECTED = {expected!r}  # the whole body of a right answer; None: any will do
TIMEOUT_S = {timeout_s!r}
WARMUP_S = {warmup_s!r}
USERS = {users!r}{users_note}
SEED = {seed!r}
"""

_CLOSED = """DURATION_S = {duration_s!r}
THINK_S = {think_s!r}


class Visitor(FastHttpUser):
    host = HOST
    network_timeout = connection_timeout = TIMEOUT_S
    wait_time = constant(THINK_S)

    def on_start(self):
        gevent.sleep(random.random())  # opened at once, all connections can land on one worker
"""

_OPEN = """STAGES = {stages!r}  # (requests per second, seconds), one after the other
POISSON = {poisson!r}


def rate_at(elapsed_s):
    for rate, length_s in STAGES:
        if elapsed_s < length_s:
            return rate
        elapsed_s -= length_s
    return STAGES[-1][0]


class Arrivals:
    \"\"\"The moments at which this process is to send: taken one by one by whoever of its users is free.\"\"\"

    def __init__(self):
        self.begin_s = self.due_s = self.random = None

    def wait_s(self, runner):
        now_s = time.monotonic()
        if self.begin_s is None:
            self.begin_s = self.due_s = now_s
            self.random = random.Random(SEED + getattr(runner, "worker_index", 0))  # no two machines alike
        due_s = self.due_s
        rate_here = rate_at(due_s - self.begin_s - WARMUP_S) * max(1, runner.user_count) / USERS
        self.due_s += self.random.expovariate(rate_here) if POISSON else 1 / rate_here
        return max(0, due_s - now_s)


ARRIVALS = Arrivals()
DURATION_S = sum(length_s for _, length_s in STAGES)


class Visitor(FastHttpUser):
    host = HOST
    network_timeout = connection_timeout = TIMEOUT_S

    def on_start(self):
        gevent.sleep(random.random())  # opened at once, all connections can land on one worker
        gevent.sleep(self.wait_time())

    def wait_time(self):
        return ARRIVALS.wait_s(self.environment.runner)
"""

_REST = """
    @task
    def ask(self):
        with self.client.request(
            METHOD, TARGET, data=BODY or None, headers=HEADERS, allow_redirects=False, catch_response=True
        ) as answer:
            if not 200 <= answer.status_code < 300:
                answer.failure(f"status {answer.status_code}")
            elif EXPECTED is not None and answer.content != EXPECTED:
                answer.failure("another body than expected")


class Plan(LoadTestShape):
    warm = False

    def tick(self):
        elapsed_s = self.get_run_time()
        if not self.warm and elapsed_s >= WARMUP_S:
            self.warm = True
            self.runner.stats.reset_all()
        return (USERS, USERS) if elapsed_s < WARMUP_S + DURATION_S else None
"""
_NO_RETRY = "\nThe plan's retries are not part of this file: Locust sends each request once."
LEAST_WARMUP_S = 2.0  # Locust's users begin within the first second


def as_locustfile(plan: Plan) -> str:
    """The text of a locustfile that sends the plan: users with think time, or arrivals at a rate and its stages.

    An open load has as many users as are needed where every request takes as long as the time-out allows, but no more
    than `max_inflight`. Retries and the condition to stop early are not exported.
    """
    warmup_s = max(LEAST_WARMUP_S, plan.warmup_s)
    headers = dict(plan.headers) | ({"connection": "close"} if plan.new_connections else {})
    closed = plan.users is not None
    head = _HEAD.format(
        title=f"{plan.method} {plan.url}".replace("\\", "\\\\").replace('"', '\\"'),
        warmup=f"{warmup_s:g}",
        more=_NO_RETRY if plan.retry else "",
    )
    values = _VALUES.format(
        imported=", constant" if closed else "",
        host=plan.url.removesuffix(plan.target),
        method=plan.method,
        target=plan.target,
        headers=pformat(headers, width=110),
        body=plan.body,
        expected=plan.expect_body,
        timeout_s=plan.timeout_s,
        warmup_s=warmup_s,
        users=plan.users or _users_needed(plan),
        users_note="" if closed else "  # so many requests can be under way",
        seed=plan.seed,
    )
    if closed:
        model = _CLOSED.format(duration_s=plan.duration_s, think_s=plan.think_s)
    else:
        stages = plan.stages or ((plan.rate_per_s, plan.duration_s),)
        model = _OPEN.format(stages=tuple(stages), poisson=plan.arrivals == "poisson")
    return head + values + model + _REST


def _users_needed(plan: Plan) -> int:
    return min(plan.max_inflight, max(1, math.ceil(plan.peak_per_s * plan.timeout_s)))
