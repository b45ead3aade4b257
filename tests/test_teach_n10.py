"""Notebook 10: its exercises, its calculator, its words for every outcome, and its pictures."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import yaml

from helpers.cluster.cluster import Cluster
from helpers.cluster.needs import Found
from helpers.cluster.swarm import Swarm
from helpers.errors import InputError
from helpers.incident.result import Event, Incident
from helpers.load.records import HTTP_5XX
from helpers.load.result import LoadResult
from helpers.load.run import Retry
from helpers.plots.growth_plot import Step, growth_plot
from helpers.plots.price_plot import Price, price_plot
from helpers.plots.reach_plot import Reach, people, reach_plot
from helpers.teach import controls as controls_module
from helpers.teach.exercises import check
from helpers.teach.machines import machines
from helpers.teach.outcomes import VOID
from helpers.teach.widgets import rendered
from helpers.teach.words import n10, n10_ray
from helpers.teach.words import n10_deeper as deeper
from helpers.teach.words.n10 import IN_HAND, KILLED, MANY, NONE, PUT_BACK, TAKEN_OUT
from helpers.teach.words.n10_recap import recap
from helpers.theory.capacity import capacity, most_per_day
from tests.pictures import label_faults
from tests.test_teach_n09 import by_hand, happened  # noqa: F401

pytestmark = pytest.mark.calm

ACTS = (Event(TAKEN_OUT, 1.0, 1.2), Event(PUT_BACK, 2.0, 2.6), Event(KILLED, 4.0, 4.0))
CREW = ((0.0, 2), (1.2, 1), (2.6, 2), (4.0, 1))
MOVED = happened(*ACTS, crew=CREW, unfinished=4)
NODE = (Event(n10_ray.NODE_LOST, 1.0, 1.0),)
LOST = happened(*NODE, crew=((0.0, 2), (1.0, 1)), lost=dict.fromkeys(range(20, 25), HTTP_5XX), unfinished=5)
READY = Found("2.60.0", True)


def measured(per_s: float, *, void: bool = False, users: int = 16) -> LoadResult:
    """A load test that found so many answers per second."""
    return happened(rates=[(per_s, 2.0)], users=users, void=void).result


def rounds(one: Sequence[float], two: Sequence[float], *, void: bool = False) -> dict[int, list[LoadResult]]:
    return {1: [measured(rate) for rate in one], 2: [measured(rate, void=void) for rate in two]}


HOSTS, REPLICAS = rounds([40, 42, 41], [78, 80, 79]), rounds([30, 32, 31], [50, 54, 52])
EMPTY: dict[int, list[LoadResult]] = {1: [], 2: []}
PLAIN = {"/whoami": measured(400), "/cpu": measured(40)}
ON_RAY = {"/whoami": measured(200), "/cpu": measured(30)}
PLAN = machines(cpu_ms=20.0, cores=2)


# --------------------------------------------------------------------------------------------------------- exercises


def test_machines_carry_the_peak_with_room_and_one_to_spare():
    facts = {"per_s": 170.0}
    peak = 40e6 / 86_400 * 4
    need = math.ceil(peak / (0.7 * 170))
    assert check("10.1", ..., **facts).mark == "open"
    assert check("10.1", need + 1, **facts).mark == "right"
    wrong = [need, math.ceil(peak / 170), math.ceil(peak / 4 / 119), need + 0.5, 1000]
    hints = [check("10.1", each, **facts) for each in wrong]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 5
    assert check("10.1", "some", **facts).mark == "wrong"


def test_the_work_of_a_lost_host_goes_to_those_that_are_left():
    assert check("10.2", ...).mark == "open"
    assert check("10.2", 0.9).mark == "right"
    hints = [check("10.2", wrong) for wrong in (90, 0.6, 1.2, 0.8, 0.1)]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 5


def test_a_fixed_price_is_a_tenth_of_ten_times_as_much_work():
    facts = {"price_ms": 3.0}
    assert check("10.3", ..., **facts).mark == "open"
    assert check("10.3", 30, **facts).mark == check("10.3", 27, **facts).mark == "right"
    hints = [check("10.3", wrong, **facts) for wrong in (0.3, 3, 0.03, 500)]
    assert {hint.mark for hint in hints} == {"wrong"}
    assert len({hint.says for hint in hints}) == 4


# -------------------------------------------------------------------------------------------------------- calculator


def test_capacity_goes_from_a_day_to_machines_and_back():
    found = capacity(per_day=8_640_000, peak=5, cpu_ms=20, cores=2, busy_most=0.5, spare=1)
    assert (found.mean_per_s, found.peak_per_s, found.cores, found.machines) == (100, 500, 20, 10)
    assert found.busy == pytest.approx(10 / 22)
    assert found.busy_without_spare == pytest.approx(0.5)
    assert most_per_day(peak=5, cpu_ms=20, cores=20, busy_most=0.5) == pytest.approx(8_640_000)
    assert capacity(per_day=1, cpu_ms=1, cores=1, spare=0).machines == 1
    assert "1 machine" in str(capacity(per_day=1, cpu_ms=1, cores=1, spare=0))
    for wrong in ({"per_day": 0}, {"peak": 0.5}, {"cpu_ms": 0}, {"cores": 0}, {"busy_most": 2}, {"spare": -1}):
        with pytest.raises(InputError, match=str(next(iter(wrong)))):
            capacity(**{"per_day": 1e6, "cpu_ms": 10, "cores": 2, **wrong})  # type: ignore[arg-type]


def test_the_calculator_follows_its_controls_and_refuses_aloud():
    ipywidgets = pytest.importorskip("ipywidgets")
    plan = machines(cpu_ms=20.0, cores=2, per_day=8_640_000, busy_most=0.5)
    plan._build(ipywidgets)
    assert plan.advice.machines == 10
    plan._controls["peak"].value = 10
    assert plan.advice.machines == 20
    assert "21 machines" in plan._answer.value
    assert "when the spare ones are missing" in plan._answer.value
    plan.set(spare=0)
    assert "do not carry it" in plan._answer.value
    plan._controls["cpu_ms"].value = plan._controls["cpu_ms"].min
    assert plan.advice.machines == 1
    with pytest.raises(InputError, match="no input 'core'"):
        plan.set(core=1)
    assert "requests/s" in repr(plan)


def test_without_widgets_the_calculator_is_shown_as_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(controls_module, "library", lambda: None)
    PLAN._ipython_display_()
    assert "advisor.set(per_day=20_000_000, peak=8)" in capsys.readouterr().out


@pytest.mark.parametrize(("per_day", "answer"), [(1e5, n10.ONE), (3e6, n10.FEW), (2e7, n10.DOZEN), (3e8, n10.HUNDRED)])
def test_the_first_bet_is_decided_by_the_plan(per_day: float, answer: str):
    assert n10.machines_right(machines(cpu_ms=20.0, cores=2, per_day=per_day)) == answer


def test_a_day_is_told_in_seconds_and_a_void_measurement_is_called_a_guess():
    told = n10.day_in_words(PLAN, measured(50), measured(95))
    assert "86,400" in told
    assert "93 answers per second" in told, "those that came within the two seconds"
    assert "is a guess" in n10.day_in_words(PLAN, measured(50), measured(95, void=True))
    assert n10.cpu_ms_of(measured(100), 2) == pytest.approx(20, rel=0.05)


# ------------------------------------------------------------------------------------------------------------- words


def test_the_second_host_and_the_second_replica_are_told_for_every_outcome():
    def hosts(two: float) -> str:
        return rendered(n10.hosts_in_words(rounds([40, 40, 40], [two] * 3)))

    assert "to nginx what a worker is to the kernel" in hosts(80)
    assert "share one machine" in hosts(55)
    assert "Did both have a core" in hosts(41)
    assert VOID in rendered(n10.hosts_in_words(EMPTY))
    assert "pulled the plug" in rendered(n10.hosts_in_words(rounds([40], [80], void=True)))

    def replicas(two: float) -> str:
        return n10_ray.replicas_in_words(HOSTS, rounds([30, 30, 30], [two] * 3))

    assert "put it on another node" in replicas(56)
    assert "Ray's own processes work" in replicas(42)
    assert "does not make any" in replicas(31)
    assert "Two plain hosts behind nginx: 1.9" in replicas(56)
    assert "plain hosts" not in n10_ray.replicas_in_words(EMPTY, REPLICAS)
    assert VOID in n10_ray.replicas_in_words(HOSTS, EMPTY)


def test_a_void_round_takes_its_pair_along():
    mixed = {1: [measured(40), measured(40)], 2: [measured(80), measured(5, void=True)]}
    assert n10.gain(mixed).pairs == 1
    assert n10.gain(mixed).value == pytest.approx(2, rel=0.05)


def test_the_loss_of_a_host_bears_out_one_answer_or_none():
    assert n10.lost_right(MOVED, KILLED) == NONE
    assert n10.lost_right(LOST, n10_ray.NODE_LOST) == IN_HAND
    many = happened(*NODE, crew=((0.0, 2), (1.0, 1)), lost=dict.fromkeys(range(20, 120, 2), HTTP_5XX))
    assert n10.lost_right(many, n10_ray.NODE_LOST) == MANY
    for nothing in (None, happened(*NODE, void=True), happened()):
        assert n10.lost_right(nothing, n10_ray.NODE_LOST) == VOID


def test_what_became_of_a_host_is_told_for_every_outcome():
    told = n10.hosts_lost_in_words(MOVED)
    assert "4 requests were in its hands" in told
    assert "sent each once more" in told
    assert "nothing in hand" in n10.hosts_lost_in_words(happened(*ACTS, crew=CREW))
    assert "was not made good" in n10.hosts_lost_in_words(happened(*ACTS, crew=CREW, lost={90: HTTP_5XX}))
    assert "pulled the plug" in n10.hosts_lost_in_words(happened(*ACTS, void=True))
    assert n10.WITHOUT_NGINX in n10.hosts_lost_in_words(None)
    assert n10.WITHOUT_NGINX in rendered(n10.incident_picture(None, "a host"))


def retried() -> Incident:
    """Five are lost, and asked again."""
    return happened(
        *NODE, crew=((0.0, 2), (1.0, 1)), lost=dict.fromkeys(range(20, 25), HTTP_5XX), unfinished=5,
        retry=Retry(times=2, after="100ms"),
    )  # fmt: skip


def test_every_attempt_stands_in_exactly_one_column_of_the_ledger():
    for incident, failed, again in ((LOST, 5, 0), (retried(), 0, 5), (MOVED, 0, 0)):
        one = n10_ray.ledger("it", incident)
        assert (one.failed, one.retried) == (failed, again)
        assert one.sent == one.answered + one.failed + one.retried == 120
    table = n10_ray.ledgers_as_table({"nginx": MOVED, "Ray": LOST, "clients ask again": retried(), "no": None})
    assert list(table.loc["Ray"]) == [120, 115, 5, 0, 5]
    assert set(table.loc["no"]) == {"–"}


def test_the_loss_of_a_node_is_told_for_every_outcome():
    told = n10_ray.node_lost_in_words(LOST, retried(), 1)
    assert "120 sent = 115 answered + 5 failed + 0 sent again" in told
    assert "115 answered + 0 failed + 5 sent again" in told
    assert "never finished" in told
    assert "nothing in hand" in n10_ray.node_lost_in_words(happened(*NODE), None, 1)
    assert "pulled the plug" in n10_ray.node_lost_in_words(happened(*NODE, void=True), None, 1)
    assert "takes a second node" in n10_ray.node_lost_in_words(None, None, 1)


def test_the_price_is_told_with_numbers_or_not_at_all():
    told = rendered(n10_ray.price_in_words(PLAIN, ON_RAY))
    assert "adds 2.6 ms at /whoami (uvicorn alone: one per 2.6 ms; 2.0 times), and" in told
    assert n10_ray.price_ms(PLAIN, ON_RAY) == pytest.approx(2.5, rel=0.05)
    assert n10_ray.price_ms(PLAIN, {}) is None
    assert rendered(n10_ray.price_in_words(PLAIN, {})) == ""
    assert "nothing that stands out from the noise" in rendered(
        n10_ray.price_in_words(PLAIN, ON_RAY | {"/cpu": measured(42)})
    )
    assert VOID in rendered(n10_ray.price_picture(PLAIN, {}))
    void = ON_RAY | {"/cpu": measured(30, void=True)}
    assert "pulled the plug" in rendered(n10_ray.price_in_words(PLAIN, void))


def test_it_says_what_is_here_and_what_therefore_cannot_be_shown():
    cluster = Cluster()
    assert "2 nodes will run" in rendered(n10_ray.here(READY, cluster))
    assert "cannot be shown here" in rendered(n10_ray.here(Found("2.60.0", False), cluster))
    missing = rendered(n10_ray.here(Found(None, True, "Ray is not installed", "install it"), cluster))
    assert "Ray is not installed" in missing
    assert "no numbers" in missing


def test_the_recap_holds_numbers_where_they_are_and_says_so_where_not():
    full = rendered(recap(PLAN, measured(95), HOSTS, MOVED, REPLICAS, (PLAIN, ON_RAY), LOST))
    assert "120 sent = 115 answered + 5 failed" in full
    assert "2.6 ms where no" in full or "2.6 ms where there" in full
    assert full.count("<li>") == 6
    bare = rendered(recap(PLAN, measured(95), EMPTY, None, EMPTY, (PLAIN, {}), None))
    assert bare.count("not measured") + bare.count("nothing was measured") + bare.count(VOID) >= 5
    void = measured(95, void=True)
    broken = happened(*ACTS, *NODE, void=True)
    never = rounds([40], [80], void=True)
    said = recap(PLAN, void, never, broken, never, (PLAIN, ON_RAY | {"/cpu": void}), broken)
    assert rendered(said).count(VOID) == 6


# ------------------------------------------------------------------------------------------------------------ deeper


def test_autoscaling_is_told_for_every_outcome():
    rates = ((20, 5.0), (60, 10.0), (20, 5.0))

    def told(*crew: tuple[float, int], void: bool = False) -> str:
        found = happened(crew=crew, rates=rates, void=void)
        result = replace(found.result, plan=replace(found.result.plan, stages=rates))
        found = replace(found, result=result)
        return rendered(deeper.autoscaled_in_words(found))

    assert "served 3.0 s after the load had risen, and left 2.0 s after it had fallen" in told(
        (0.0, 1), (8.0, 2), (17.0, 1)
    )
    assert "had not left" in told((0.0, 1), (8.0, 2))
    assert "No second replica came" in told((0.0, 1))
    assert "pulled the plug" in told((0.0, 1), void=True)
    assert deeper.NOT_RUN in rendered(deeper.autoscaled(None))
    assert rendered(deeper.autoscaled_in_words(None)) == ""


def test_the_manifest_is_one_process_per_container_and_as_many_as_the_plan_needs():
    plan = machines(cpu_ms=20.0, cores=2, per_day=8_640_000, busy_most=0.5)
    deployment, service = yaml.safe_load_all(deeper.manifest_text(plan))
    spec = deployment["spec"]
    assert spec["replicas"] == deeper.containers(plan) == 20 + 2
    (container,) = spec["template"]["spec"]["containers"]
    assert "--workers" not in container["command"]
    assert container["resources"]["requests"]["cpu"] == "1"
    assert spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"] == service["spec"]["selector"]
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["containerPort"]
    text = deeper.manifest_text(plan)
    keys = [line.replace('cpu: "1"', "cpu").split(":")[0].split(",")[0] for line, _, _ in deeper.LINES]
    assert [key for key in keys if key not in text] == []
    assert "<table>" in rendered(deeper.line_by_line())


def test_locusts_numbers_stand_beside_ours_and_are_called_what_they_are(monkeypatch: pytest.MonkeyPatch):
    ours = measured(100)
    theirs = Swarm(2, 300, 0, 97.0, 50.0, 52.0, "locust --master", "locust --worker")
    assert "That is agreement" in rendered(deeper.agreement(ours, theirs))
    apart = Swarm(2, 300, 0, 60.0, 50.0, 52.0, "locust --master", "locust --worker")
    assert "too much" in rendered(deeper.agreement(ours, apart))
    assert "Locust is missing" in rendered(deeper.agreement(ours, None))
    assert "pulled the plug" in rendered(deeper.agreement(measured(100, void=True), theirs))
    assert "97.0 requests/s" in str(theirs)
    assert deeper.head_of("a\n" * 50).endswith("...")


# ---------------------------------------------------------------------------------------------------------- pictures


def test_no_label_leaves_its_picture_or_covers_another(monkeypatch: pytest.MonkeyPatch):
    void = rounds([40, 41], [80, 82], void=True)
    gallery = {
        "reach": PLAN.picture(),
        "far": machines(cpu_ms=0.3, cores=64, per_day=5e9, peak=20).picture(),
        "near": machines(cpu_ms=200.0, cores=1, per_day=300, peak=1).picture(),
        "both": n10.growth({"host": HOSTS, "replica": REPLICAS}, bet=2),
        "one round": n10.growth({"replica": rounds([30], [50])}, bet=1),
        "void": n10.growth({"host": void, "replica": REPLICAS}, bet=1.5),
        "price": n10_ray.price_picture(PLAIN, ON_RAY),
        "void price": n10_ray.price_picture(PLAIN, ON_RAY | {"/cpu": measured(30, void=True)}),
        "moved": MOVED.picture("A host goes, comes back, and is killed"),
        "lost": LOST.picture("A node is lost"),
    }
    assert label_faults(gallery, monkeypatch) == []


def test_every_picture_has_a_sentence_and_a_table():
    both = n10.growth({"host": HOSTS, "replica": REPLICAS}, bet=2)
    assert "2 replicas: " in both.alt
    assert "Your bet was 2 times" in both.alt
    assert len(both.table) == 4
    assert "void" in n10.growth({"host": rounds([40], [80], void=True)}).alt
    assert "Wanted: 1 million" in PLAN.picture().alt
    assert "added by Ray Serve" in n10_ray.price_picture(PLAIN, ON_RAY).alt
    assert VOID in rendered(n10.growth({"host": EMPTY}))


def test_what_cannot_be_drawn_is_refused_with_a_hint():
    for draw in (
        lambda: reach_plot([], wanted_per_day=1, below=""),
        lambda: reach_plot([Reach("1", 1)], wanted_per_day=0, below=""),
        lambda: growth_plot("", [], below=""),
        lambda: growth_plot("", [[]], below=""),
        lambda: price_plot([], alone="", added="", below=""),
    ):
        with pytest.raises(InputError):
            draw()
    assert Step("1", []).mean_per_s is None
    assert Price("/", None, 1.0).added_ms is None
    assert Price("/", 2.0, 1.0).added_ms == 0


def test_large_numbers_are_written_as_one_says_them():
    said = {950: "950", 12_000: "12 thousand", 3.5e6: "3.5 million", 2e9: "2 billion"}
    assert {number: people(number) for number in said} == said
    assert people(999_999) == "1 million"
