"""The guide's own lines for a JupyterHub, with JupyterHub's own package: two people, a browser each, one machine."""

import os
import re
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page

from helpers.server import registry
from tests.browsing import IDLE, await_all, pages, start_all
from tests.test_browser import FIRST, WRONG
from tests.test_dry_run import fresh_clone
from tests.test_readme import GUIDE
from tests.tools import require
from tests.waiting import await_true

PEOPLE = ("ana", "ben")
KEY = "of-this-test-alone"
# What the guide leaves to the administrator: who may log in, and where everybody's home is.
HUB = """
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{root}/home/{{username}}"
c.Spawner.args = ["--allow-root"]
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.JupyterHub.services = [{{"name": "test", "api_token": "{key}"}}]
c.JupyterHub.load_roles = [{{"name": "test", "services": ["test"], "scopes": ["admin:servers"]}}]
"""


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_two_people_of_a_hub_run_the_first_notebook_in_the_same_minute(browser: Browser, tmp_path: Path) -> None:
    shared = as_the_guide_says(tmp_path)
    with hub(tmp_path, installed(tmp_path / "jupyterhub")) as url:
        desks = [logged_in(browser, url, who) for who in PEOPLE]
        for page in desks:
            start_all(page)
        kernels = {await_true(lambda who=who: kernel_of(tmp_path, who), 90, f"{who} has no server") for who in PEOPLE}
        assert len(kernels) == len(PEOPLE)
        for kernel in kernels:
            assert Path(kernel.cmdline()[0]) == shared / ".venv" / "bin" / "python"
            assert kernel.environ()["LAB_ROTA"] == str(tmp_path / "srv" / "lab.rota")
        for who, page in zip(PEOPLE, desks, strict=True):
            await_all(page, f"{who}'s notebook")
            for _ in pages(page, f"hub_{who}"):
                for wrong in WRONG:
                    assert page.locator(wrong).count() == 0, wrong
            page.context.close()
        for who in PEOPLE:  # as a hub does that culls whoever is idle
            asked(url, who)
        await_true(lambda: not any(kernel.is_running() for kernel in kernels), 15, "a kernel outlived its person")
        await_true(lambda: not [one for one in registry.servers() if one.orphan], 5, "a server outlived its kernel")


def as_the_guide_says(root: Path) -> Path:
    """The administrator's part, and each person's own copy; returns where the packages are."""
    srv = root / "srv"
    shared = fresh_clone(srv / "lab")
    base = getattr(sys, "_base_executable", sys.executable)
    run([base, "-m", "helpers", "doctor"], cwd=shared, fine=(0, 1))
    (srv / "lab.rota").touch(mode=0o666)
    spec = block("json")
    kernel = srv / "lab-kernel" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(spec.replace("/srv/", f"{srv}/"))
    for who in PEOPLE:
        run([require("git"), "clone", "--quiet", str(shared), str(root / "home" / who / "lab")])
    return shared


def block(kind: str) -> str:
    """The guide's one block of that kind below "A JupyterHub"."""
    part = GUIDE.read_text(encoding="utf-8").partition("### A JupyterHub")[2]
    found = re.findall(rf"```{kind}\n(.*?)```", part, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def installed(folder: Path) -> Path:
    """JupyterHub with a JupyterLab of its own, and the proxy that it wants; the folder of their programs."""
    npm = require("npm")
    venv.create(folder, with_pip=True)
    run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "jupyterhub", "jupyterlab"])
    run([npm, "install", "--silent", "--prefix", folder, "configurable-http-proxy"])
    return folder


@contextmanager
def hub(root: Path, programs: Path) -> Iterator[str]:
    port, hub_port, api_port = free_ports(3)
    config = root / "jupyterhub_config.py"
    own = HUB.format(root=root, port=port, hub_port=hub_port, api_port=api_port, key=KEY)
    config.write_text(own + block("python").replace("/srv/", f"{root}/srv/"))
    path = os.pathsep.join([f"{programs}/bin", f"{programs}/node_modules/.bin", os.environ["PATH"]])
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "LAB_", "PYTHON"))}
    log = root / "hub.log"
    with log.open("wb") as file:
        command = [programs / "bin" / "jupyterhub", "-f", config]
        process = subprocess.Popen(command, cwd=root, env={**env, "PATH": path}, stdout=file, stderr=file)
    url = f"http://127.0.0.1:{port}"
    try:
        await_true(lambda: answers(f"{url}/hub/health"), 60, "the hub does not answer")
        yield url
    except BaseException:
        print(log.read_text()[-5000:])
        raise
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def logged_in(browser: Browser, url: str, who: str) -> Page:
    """A browser of that person's own, at the notebook that the hub opens by itself."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    page.goto(url)
    page.get_by_label("Username").fill(who)
    page.get_by_label("Password").fill("any")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/{FIRST}.ipynb*", timeout=60_000)
    page.wait_for_selector(IDLE, timeout=60_000)
    assert page.locator(".jp-Dialog").count() == 0
    return page


def kernel_of(root: Path, who: str) -> psutil.Process | None:
    """The kernel with a server of its own whose `helpers` are in that person's home."""
    for entry in registry.servers():
        kernel = psutil.Process(entry.owner_pid)
        if kernel.environ().get("PYTHONPATH") == str(root / "home" / who / "lab"):
            return kernel
    return None


def asked(url: str, who: str) -> None:
    """End that person's JupyterLab, through the hub."""
    answer = httpx.delete(f"{url}/hub/api/users/{who}/server", headers={"Authorization": f"token {KEY}"}, timeout=30)
    assert answer.status_code in (202, 204), answer.text


def run(command: list[str | Path], cwd: Path | None = None, fine: tuple[int, ...] = (0,)) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode in fine, done.stdout + done.stderr
