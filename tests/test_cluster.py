"""The cluster on real Ray: the same app with the server's promises, scaled, broken, and gone without a trace."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers import proc
from helpers.cluster import cluster as cluster_module
from helpers.cluster import needs
from helpers.cluster.cluster import Cluster
from helpers.cluster.running import SHORT
from helpers.cluster.swarm import full_seconds_per_s, percentile_ms, swarm
from helpers.errors import InputError, PortError, StartError, StateError
from helpers.incident.run import At, incident
from helpers.load.plan import make_plan
from helpers.load.run import Retry, load_test
from helpers.server import registry
from helpers.server.server import Server
from helpers.teach.words.n10_ray import ledger
from tests.serving import APPS, ROOT, can_be_bound, get, serves, state_folder
from tests.tools import unavailable
from tests.undisturbed import undisturbed  # noqa: F401
from tests.waiting import await_true

__all__ = ["state_folder"]
GONE_WITHIN_S = 3.0
LOAD = {"rate": 40, "warmup": 0.5, "progress": False}


@pytest.fixture(scope="module")
def ray() -> None:
    if find_spec("ray") is None:
        unavailable("the package ray is not installed")


@pytest.fixture(scope="module")
def cluster(ray: None) -> Iterator[Cluster]:
    """Two nodes and one replica, for the tests that leave it as it was."""
    with Cluster(nodes=2) as running:
        yield running


def members(running: Cluster) -> dict[int, float]:
    """All processes of it, with their times of creation."""
    created = proc.create_time(running.pid)
    assert created is not None
    return registry.family(running.pid, created)


def listening(pid: int) -> set[str]:
    """The local addresses, as the kernel writes them, on which somebody listens in the network of that process."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(fields[1].partition(":")[0])
    return found


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


# ------------------------------------------------------------------------------------------------------ as a server


@pytest.mark.full
def test_the_same_app_answers_as_on_uvicorn_and_a_load_test_knows_who_did(cluster: Cluster, undisturbed: None) -> None:  # noqa: F811
    assert get(cluster.url, "/cpu?units=3").json()["units"] == 3
    assert get(cluster.url, "/cpu?units=0").status == 422
    result = load_test(cluster.url + "/cpu?units=5", users=4, duration=1, progress=False)
    assert result.verdict in ("pass", "warn"), result.reasons
    assert list(result.worker_share) == cluster.worker_pids
    assert result.cpu is not None
    assert result.cpu.rest_of_server > 0, "Ray's own processes count as the server's"
    assert cluster.state == "ready"
    assert f"{cluster.url}, pid {cluster.pid}" in repr(cluster)
    assert "2 nodes" in cluster._repr_html_()
    assert [entry.url for entry in registry.servers() if entry.pid == cluster.pid] == [cluster.url]


@pytest.mark.full
def test_all_of_it_listens_on_loopback_in_a_network_of_its_own(cluster: Cluster) -> None:
    replica, here = cluster.worker_pids[0], os.readlink("/proc/self/ns/net")
    assert os.readlink(f"/proc/{replica}/ns/net") != here
    assert listening(replica) <= LOOPBACK
    ours = [pid for pid in members(cluster) if os.readlink(f"/proc/{pid}/ns/net") == here]
    assert proc.listening_ports(ours) == [int(cluster.url.rpartition(":")[2])], "the door"
    assert all(loopback_only(pid) for pid in ours)


@pytest.mark.full
def test_replicas_come_and_go_while_it_serves_and_the_first_one_stays(cluster: Cluster) -> None:
    first = cluster.worker_pids
    assert len(cluster.scale(2).worker_pids) == 2
    assert cluster.worker_pids[:1] == first
    with pytest.raises(InputError, match="replicas=3 do not fit"):
        cluster.scale(3)
    assert len(cluster.scale(1).worker_pids) == 1
    assert serves(cluster.url)


# ------------------------------------------------------------------------------------------------ without starting


def test_what_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="nodes=9"):
        Cluster(nodes=9)
    with pytest.raises(InputError, match="replicas=3 do not fit"):
        Cluster(nodes=2, replicas=3)
    with pytest.raises(InputError, match="cpus_per_node=0"):
        Cluster(cpus_per_node=0)
    with pytest.raises(InputError, match="not of the form"):
        Cluster("api")
    idle = Cluster()
    assert (idle.state, idle.worker_pids, idle.log) == ("stopped", [], "")
    for call in (lambda: idle.url, lambda: idle.scale(1), idle.kill_node, idle.kill_replica, idle.add_node):
        with pytest.raises(StateError):
            call()
    idle.stop()


def test_what_this_machine_lacks_is_said_before_anything_is_started(
    state_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = set(proc.pids())

    def refused(name: str, value: object) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(needs, "_version", lambda: "2.60.0")
            patch.setattr(needs, name, value)
            assert not needs.look().ready
            with pytest.raises(StateError) as caught:
                Cluster().start()
        return str(caught.value)

    assert needs.INSTALL in refused("_version", lambda: None)
    limits = needs.memory_limits()
    assert "300 MiB of memory are free" in refused(
        "memory_limits", lambda: type(limits)(1, 1, None, 300 * needs.MIB, "")
    )
    assert "--shm-size" in refused("shared_memory_mib", lambda: 64)
    assert [pid for pid in set(proc.pids()) - before if "ray" in proc.describe(pid)] == []


def test_where_a_network_of_its_own_is_not_allowed_there_is_one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "may_be_apart", lambda: False)
    monkeypatch.setattr(needs, "_version", lambda: "2.60.0")
    found = needs.look()
    assert found.nodes_most == 1
    assert "as one node" in str(found)


# ----------------------------------------------------------------------------------------------- broken on purpose


@pytest.fixture
def two(ray: None) -> Iterator[Cluster]:
    """Two nodes with a replica each, to be broken."""
    with Cluster(nodes=2, replicas=2) as running:
        yield running


@pytest.mark.full
@pytest.mark.timeout(200)
def test_the_ledger_of_a_lost_node_is_exact_with_and_without_retries(two: Cluster, undisturbed: None) -> None:  # noqa: F811
    for retry in (None, Retry(times=2, after="100ms")):
        lost = incident(two, "/sleep?ms=300", [At(1.5, "lost", two.kill_node)], duration=4, retry=retry, **LOAD)
        told = ledger("lost", lost)
        assert told.sent == told.answered + told.failed + told.retried == lost.result.requests
        assert lost.lost == lost.unfinished, "what was lost is what the dead replica had in hand, by its own count"
        assert lost.lost > 0
        assert told.failed == (lost.lost if retry is None else 0)
        assert told.retried == lost.result.retries
        assert (two.nodes, two.state) == (1, "degraded")
        assert len(two.add_node().worker_pids) == 2


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_killed_replica_is_replaced_and_others_answer_meanwhile(two: Cluster) -> None:
    before = two.worker_pids
    killed = two.kill_replica()
    await_true(lambda: killed not in two.worker_pids, 5)
    for _ in range(20):
        assert get(two.url, "/health").status == 200
    await_true(lambda: len(two.worker_pids) == 2, 60, every_s=0.1)
    assert set(two.worker_pids) & set(before) == set(before) - {killed}


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_lost_head_ends_the_cluster_and_says_so(two: Cluster) -> None:
    family, url = members(two), two.url
    head = next(pid for pid in family if "--head" in proc.describe(pid, limit=4000) and "guard" in proc.describe(pid))
    os.kill(head, signal.SIGKILL)
    assert registry.await_gone(family, 10)
    await_true(lambda: two.state == "died", 3)
    with pytest.raises(StateError, match="its head node ended"):
        two.scale(1)
    assert not serves(url)


@pytest.mark.full
@pytest.mark.timeout(200)
def test_it_scales_by_itself_when_it_may(ray: None) -> None:
    with Cluster(nodes=2) as running:
        running.autoscale(1, 2, in_hand=2)
        crew = incident(running, "/sleep?ms=300", [], duration=18, **{**LOAD, "rate": [(3, "2s"), (30, "16s")]}).crew
        assert max(number for _, number in crew) == 2


@pytest.mark.full
@pytest.mark.timeout(200)
def test_a_second_cluster_and_a_ray_of_somebody_else_are_left_alone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "somebody else's")
    family = members(cluster)
    with Cluster(nodes=1) as other:
        assert serves(other.url)
        assert other.url != cluster.url
    assert all(proc.alive(pid, created) for pid, created in family.items())
    assert serves(cluster.url)


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_node_without_the_token_is_refused(cluster: Cluster) -> None:
    replica = cluster.worker_pids[0]
    environ = Path(f"/proc/{replica}/environ").read_bytes().split(b"\0")
    assert any(each.startswith(b"RAY_AUTH_TOKEN=") and len(each) > 40 for each in environ)
    gcs = next(pid for pid in members(cluster) if "gcs_server" in proc.describe(pid))
    port = next(word.partition("=")[2] for word in proc.describe(gcs, limit=4000).split() if "gcs_server_port" in word)
    inside = ["nsenter", f"--net=/proc/{replica}/ns/net"]
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address=127.0.0.1:{port}", "--num-cpus=1"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with tempfile.TemporaryDirectory() as home:
        env = clean | {"HOME": home, "RAY_USAGE_STATS_ENABLED": "0"}
        answer = subprocess.run([*inside, *ray], capture_output=True, text=True, env=env, timeout=60)
    assert answer.returncode != 0
    assert "token" in (answer.stdout + answer.stderr).lower()
    assert cluster.nodes == 2


@pytest.mark.full
@pytest.mark.timeout(120)
def test_without_a_network_of_its_own_it_is_one_node_that_nobody_outside_can_reach(
    ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "may_be_apart", lambda: False)
    with Cluster(nodes=2, replicas=2) as running:
        assert "one node with 2 CPUs" in running.notice
        assert len(running.worker_pids) == 2
        for pid in members(running):
            assert loopback_only(pid), proc.describe(pid)
        with pytest.raises(StateError, match="only one node"):
            running.kill_node()
        with pytest.raises(StateError, match="cannot join"):
            running.add_node()


def loopback_only(pid: int) -> bool:
    import psutil

    found = psutil.Process(pid).net_connections(kind="tcp")
    return {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN} <= {
        "127.0.0.1", "::1", "::ffff:127.0.0.1",
    }  # fmt: skip


@pytest.mark.full
@pytest.mark.timeout(120)
def test_an_app_that_cannot_be_imported_is_named_and_nothing_is_left(ray: None, state_folder: Path) -> None:
    before = set(SHORT.glob("lab-ray-*"))
    with pytest.raises(StartError, match="'broken_import:app' did not start"):
        Cluster("broken_import:app", app_dir=APPS, nodes=1).start()
    assert set(SHORT.glob("lab-ray-*")) == before


@pytest.mark.full
def test_a_taken_port_is_named_before_anything_is_started(ray: None, state_folder: Path) -> None:
    with Server() as server, pytest.raises(PortError, match="cannot be used"):
        Cluster(port=int(server.url.rpartition(":")[2])).start()


# ------------------------------------------------------------------------------------------- gone, whatever happens

OWNER = """
import json, os, sys
from helpers.cluster.cluster import Cluster
cluster = Cluster(nodes=2, replicas=2).start()
print(json.dumps({"pid": cluster.pid, "url": cluster.url}), flush=True)
sys.stdin.read()
"""


@contextmanager
def owned() -> "Iterator[tuple[subprocess.Popen[str], dict[str, object], dict[int, float]]]":
    """A process that owns a cluster, what it says of it, and all processes of the cluster."""
    import json

    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            created = proc.create_time(told["pid"])
            assert created is not None
            yield process, told, registry.family(told["pid"], created)
        finally:
            process.kill()


@pytest.mark.full
@pytest.mark.timeout(200)
@pytest.mark.parametrize("victim", ["owner", "guard", "launcher"])
def test_all_of_it_is_gone_when_its_owner_or_its_first_process_is_killed(ray: None, victim: str) -> None:
    with owned() as (owner, told, family):
        busy = subprocess.Popen(["curl", "-s", f"{told['url']}/cpu?units=10000"], stdout=subprocess.DEVNULL)
        time.sleep(0.3)  # a replica now holds the GIL
        guard = int(str(told["pid"]))
        pids = {"owner": owner.pid, "guard": guard, "launcher": proc.descendants(guard)[0]}
        os.kill(pids[victim], signal.SIGKILL)
        began = time.monotonic()
        assert registry.await_gone(family, GONE_WITHIN_S), [proc.describe(p) for p in family if proc.alive(p)]
        assert time.monotonic() - began < GONE_WITHIN_S
        busy.kill()
        busy.wait()
        assert can_be_bound(int(str(told["url"]).rpartition(":")[2]))
    assert [entry for entry in registry.servers() if entry.pid == guard] == []


@pytest.mark.full
def test_a_stopped_one_leaves_nothing(ray: None, state_folder: Path) -> None:
    running = Cluster(nodes=1).start()
    family, link = members(running), next(SHORT.glob(f"lab-ray-{running._running.id}"))  # type: ignore[union-attr]
    running.stop()
    running.stop()
    assert not any(proc.alive(pid, created) for pid, created in family.items())
    assert not link.is_symlink()
    assert list(registry.state_folder().glob("launch-*")) == []
    assert "Ray runtime started" in running.log


# ------------------------------------------------------------------------------------------------------------ Locust


@pytest.mark.full
def test_locust_on_two_workers_and_our_engine_agree_within_a_tenth(undisturbed: None) -> None:  # noqa: F811
    if find_spec("locust") is None:
        unavailable("the package locust is not installed")
    with Server() as server:
        ours = load_test(server.url + "/sleep?ms=20", users=16, duration=6, progress=False)
        theirs = swarm(ours.plan)
    assert theirs.failures == 0
    assert theirs.per_s == pytest.approx(ours.achieved_per_s, rel=0.1)
    assert theirs.p50_ms == pytest.approx(float(ours.p50_ms or 0), rel=0.1)


def test_what_locust_counted_at_its_begin_and_end_is_left_out() -> None:
    counts = {"100": 7, "101": 50, "102": 48, "103": 52, "104": 9}
    assert full_seconds_per_s({"num_reqs_per_sec": counts, "start_time": 100.4}) == 50
    assert full_seconds_per_s({"num_reqs_per_sec": {}, "start_time": 100.4}) == 0
    assert percentile_ms({"20": 90, "30": 9, "900": 1}, 0.5) == 20
    assert percentile_ms({"20": 90, "30": 9, "900": 1}, 0.95) == 30


def test_a_swarm_that_cannot_be_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan("http://127.0.0.1:9/", users=1, duration=1)
    with pytest.raises(InputError, match="workers=0"):
        swarm(plan, workers=0)
    monkeypatch.setattr("helpers.cluster.swarm.installed", lambda: False)
    with pytest.raises(StateError, match="Locust is not installed"):
        swarm(plan)


def test_nothing_of_ray_is_imported_unless_asked() -> None:
    code = "import sys; import helpers.cluster.cluster, helpers.cluster.swarm, helpers.teach.desk, helpers.cli"
    code += "; assert not {'ray', 'locust', 'gevent'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert needs.Found("2.60.0", True).nodes_most == cluster_module.NODES_MOST
