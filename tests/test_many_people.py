"""Many people on one machine: a kernel each, a server and a port each, and nobody measures anybody else's."""

import json
import shutil
import sys
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from helpers.notebooks import FOLDER
from helpers.progress import tell
from helpers.rota import ROTA
from helpers.server import registry
from tests.kernels import LONG_S, kernel
from tests.test_hub import block
from tests.waiting import await_true

PEOPLE = 20

MEASURE = """
import json
from helpers.teach.session import begin, finish
begin()
from helpers.load.run import load_test
from helpers.server.server import Server
server = Server().start()
result = load_test(server.url + "/cpu?units=1", users=2, duration=0.5, progress=False)
[launch] = [check.verdict for check in result.checks if check.name == "launch"]
own = result.launch_before.id == server._running.id
print("TOLD", json.dumps({"port": server.launch.port, "own": own, "launch": launch, "ok": result.ok,
                          "reasons": [check.why for check in result.checks if check.verdict == "void"],
                          "window": [result.t0_ns, result.t1_ns]}))
"""


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("turns", [False, True], ids=["all at once", "by turns"])
def test_twenty_people_at_once_measure_their_own_servers_and_leave_nothing(turns: bool, tmp_path: Path) -> None:
    env = {ROTA: str(tmp_path / "rota")} if turns else {}
    with ExitStack() as stack:
        people = [stack.enter_context(kernel(**env)) for _ in range(PEOPLE)]
        for one in people:
            one.await_ready()
        messages = [one.start(MEASURE) for one in people]
        said = [one.hears(message) for one, message in zip(people, messages, strict=True)]
        told = [json.loads(each.partition("TOLD ")[2] or pytest.fail(each)) for each in said]
        assert len({each["port"] for each in told}) == PEOPLE
        assert all(each["own"] and each["launch"] == "pass" and each["ok"] > 0 for each in told), told
        pids = {one.process.pid for one in people}
        assert pids <= {entry.owner_pid for entry in registry.servers()}
        windows = sorted(each["window"] for each in told)
        apart = all(end <= begin for (_, end), (begin, _) in pairwise(windows))
        assert apart or not turns
        assert any("before you" in each for each in said) == turns
        void = [each["reasons"] for each in told if each["reasons"]]
        print(f"{len(void)} of {PEOPLE} were void; the last one: {void[-1:]}")
        # one person stops, and nobody else is stopped with them
        assert "stopped: http://127.0.0.1" in people[0].says("finish()")
        assert len([entry for entry in registry.servers() if entry.owner_pid in pids]) == PEOPLE - 1
        for one in people[1 : PEOPLE // 2]:
            assert "stopped: " in one.says("finish()")
    # the others' kernels were ended in the middle of everything
    await_true(lambda: not [entry for entry in registry.servers() if entry.owner_pid in pids], 10, "a server is left")


def test_a_line_for_people_is_not_red_in_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    streams = []

    def heard(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            streams.append(message["content"]["name"])

    with kernel() as one:
        one.await_ready()
        source = "from helpers.progress import tell\ntell('1 before you')"
        one.client.execute_interactive(source, timeout=LONG_S, output_hook=heard)
    assert streams == ["stdout"]
    tell("1 before you")
    assert capsys.readouterr() == ("", "1 before you\n")


def test_a_hubs_kernel_runs_in_the_shared_environment_with_everybodys_own_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel.json of the instructor's guide, word for word but for the place of the environment."""
    spec = block("json")
    argv = json.loads(spec)["argv"]
    assert argv[0] == "/srv/lab/.venv/bin/python"
    spec_file = tmp_path / "hub" / "kernels" / "python3" / "kernel.json"
    spec_file.parent.mkdir(parents=True)
    spec_file.write_text(spec.replace(argv[0], sys.executable))
    own = Path(shutil.copytree(FOLDER.parent / "helpers", tmp_path / "home" / "lab" / "helpers")).parent
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "hub"))
    monkeypatch.setenv("HOME", str(own.parent))
    with kernel() as one:
        one.await_ready()
        said = one.says("import sys\nfrom helpers import store\nprint(sys.executable, store.RESULTS)")
        assert said.split() == [sys.executable, str(own / "results")]
        assert "usable cores" in one.says(BEGIN)


BEGIN = "from helpers.teach.session import begin\nprint(begin().cores, 'usable cores')"
