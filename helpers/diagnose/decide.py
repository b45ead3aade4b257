"""The decision: which probes are made, in which order, and what each answer means. All thresholds stand here."""

from dataclasses import dataclass, field

from helpers.diagnose.prober import DEFAULT_THREADS, Prober
from helpers.diagnose.seen import Probe

FAILS = 0.05  # of the requests: whatever else limits it, that comes first
SEVERAL_CORES = 1.25  # one worker uses more than one core only where its code runs outside of the GIL
FULL_CORE = 0.85  # of one core: the rest goes to waking up and waiting for the network
GROWS = 0.75  # of the users have their request worked at, at any moment: more users get more answers
HELD = 0.3  # of the time the event loop is in somebody's code, beyond the time for which that used the CPU
ALL_THREADS = 0.6  # as many requests at once as threads, give or take what starting a thread costs
GAINS = 1.4  # halfway (geometrically) between no gain and twice as much
CLEAR = 1.1  # a value so many times above or below its threshold would not have come out otherwise by chance
FEW_AND_MANY = ((0.25, (16, 64)), (1.0, (8, 64)), (2.5, (4, 64)))  # 40 threads are the default: many are more
FEW_FOR_SLOW = (4, 8)
OF_THE_GENERATOR = ("engine CPU", "run delay", "lag")

VERDICTS = (
    "cpu_bound", "event_loop_blocked", "threadpool_exhausted", "downstream_bound", "lock_bound", "native_parallel",
    "scales_by_awaiting", "failing", "client_bound", "inconclusive",
)  # fmt: skip


def decide(api: Prober, walk: "Walk") -> str:
    """The verdict; `walk` keeps every question that was asked on the way to it."""
    probe = walk.at = api.load(1)
    if walk.asks("share of requests that fail", probe.failed, over=FAILS):
        return "failing"
    if not walk.trusts(probe):
        return untold(probe)
    for users in users_for(api.request_s):
        probe = walk.at = api.load(users)
        if walk.asks("share of requests that fail", probe.failed, over=FAILS):
            return "failing"
        if not walk.trusts(probe):
            return untold(probe)
        if walk.asks("cores busy with one worker's code", probe.cores, over=SEVERAL_CORES):
            # threads that fight for one GIL burn several cores as well: a worker with a GIL of its own then gains
            fight = walk.asks("gain of a second worker", api.gain(probe, workers=2), over=GAINS)
            return "cpu_bound" if fight else "native_parallel"
        if walk.asks("part of a core that the worker uses", probe.cores, over=FULL_CORE * api.core):
            return "cpu_bound"
        if not walk.asks("share of users whose request gets on", at_once(api, probe) / users, over=GROWS):
            break  # it is full, and the CPU idles: what do they all wait for?
    else:
        return "scales_by_awaiting"
    probe = walk.at = api.for_some_turns(probe)
    if not walk.trusts(probe):
        return untold(probe)
    api.read_stacks(probe)
    second = api.gain(probe, workers=2)
    if walk.asks("share of time for which idle code holds the event loop", api.held(probe), over=HELD):
        shared = second is not None and not walk.asks("gain of a second worker", second, over=GAINS)
        return "downstream_bound" if shared else "event_loop_blocked"
    if walk.asks("requests that wait for a thread", api.threads_awaited(probe), over=0.5):
        threads = probe.threads_size or DEFAULT_THREADS
        if walk.asks("requests at once, per thread", at_once(api, probe) / threads, over=ALL_THREADS):
            return "threadpool_exhausted"
    if second is None:
        walk.doubts += api.doubts
        return "inconclusive"
    return "lock_bound" if walk.asks("gain of a second worker", second, over=GAINS) else "downstream_bound"


def untold(probe: Probe) -> str:
    """A void measurement tells nothing of the API; whose fault it is, the load test's own checks say."""
    return "client_bound" if probe.warned(*OF_THE_GENERATOR) and not probe.warned("foreign load") else "inconclusive"


def users_for(request_s: float) -> tuple[int, int]:
    """Few users, and many: as many as can be served within seconds even if it is one at a time."""
    return next((users for limit_s, users in FEW_AND_MANY if request_s <= limit_s), FEW_FOR_SLOW)


def at_once(api: Prober, probe: Probe) -> float:
    """Requests that really get on at one moment: throughput x the time of a request alone (Little's law)."""
    return probe.per_s * api.request_s


@dataclass(frozen=True)
class Step:
    """One question of the walk: what was measured, the threshold, and whether it lies above."""

    question: str
    value: float | None
    over: float
    users: int

    @property
    def yes(self) -> bool:
        return self.value is not None and self.value > self.over

    @property
    def clear(self) -> bool:
        """Whether the value is far from its threshold; one that could not be measured is not."""
        return self.value is not None and not self.over / CLEAR < self.value < self.over * CLEAR

    def __str__(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.2f}"
        sign = "over" if self.yes else "not over"
        close = "" if self.clear or self.value is None else ", close"
        many = f"{self.users:>3} {'users' if self.users > 1 else 'user '}"
        return f"{many} | {self.question}: {value}, {sign} {self.over:.2f}{close}"


@dataclass
class Walk:
    """The questions in the order in which they were asked; `at` is the probe that they were about last."""

    steps: list[Step] = field(default_factory=list)
    at: Probe | None = None
    doubts: list[str] = field(default_factory=list)  # why a measurement could not be used

    def asks(self, question: str, value: float | None, *, over: float) -> bool:
        """Note the question, and answer it."""
        step = Step(question, value, over, 1 if self.at is None else self.at.users)
        self.steps.append(step)
        return step.yes

    def trusts(self, probe: Probe) -> bool:
        """Whether the measurement counts; the reasons why not are kept."""
        if probe.void:
            self.doubts += probe.result.reasons
        return not probe.void

    def __str__(self) -> str:
        return "\n".join([*map(str, self.steps), *(f"    void | {doubt}" for doubt in self.doubts)])
