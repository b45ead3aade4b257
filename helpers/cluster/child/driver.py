"""The one process of the cluster that talks to Ray: puts the app on Ray Serve, scales it, and tells how it stands.

Reads a JSON object per line on stdin ({"do": ...}) and answers each with one on stdout. What it deploys is built in the
replicas: nothing of the app is imported here.
"""

import importlib.util
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers import lifeline

APP = "app"
LOOK_EVERY_S = 0.05
IN_HAND_MOST = 100  # requests that a replica takes at a time; Ray's own default is 5, and the others would wait for it
LEAVE_WITHIN_S = 0.2  # how often a replica that is to go looks whether it is done
AUTOSCALING = {"upscale_delay_s": 1.0, "downscale_delay_s": 2.0, "metrics_interval_s": 0.5, "look_back_period_s": 1.0}


class Driver:
    """Connected to the cluster whose address is given."""

    def __init__(self, settings: "dict[str, Any]") -> None:
        import ray
        from ray import serve

        self._settings = settings
        self._ray, self._serve = ray, serve
        self._version = 0
        while socket.socket().connect_ex(("127.0.0.1", settings["gcs_port"])):
            time.sleep(LOOK_EVERY_S)
        ray.init(address=f"127.0.0.1:{settings['gcs_port']}", log_to_driver=False, logging_level="warning")
        http = {"host": "127.0.0.1", "port": settings["http_port"]}
        serve.start(http_options=http, proxy_location="HeadOnly")

    def nodes(self, wanted: int) -> "dict[str, Any]":
        """Wait until so many nodes are alive."""
        while len(alive := [node for node in self._ray.nodes() if node["Alive"]]) != wanted:
            time.sleep(LOOK_EVERY_S)
        return {"nodes": len(alive)}

    def deploy(self, replicas: int, wait: bool = True) -> "dict[str, Any]":
        """Run that many replicas; with `wait` until they run, and no other."""
        self._serve.run_many([self._target(num_replicas=replicas)], wait_for_applications_running=False)
        while wait and self.status()["replicas"] != {"RUNNING": replicas}:
            self._raise_if_failed()
            time.sleep(LOOK_EVERY_S)
        return self.status()

    def autoscale(self, least: int, most: int, in_hand: float) -> "dict[str, Any]":
        """Let Ray choose how many, so that each has about `in_hand` requests at a time."""
        choice = {"min_replicas": least, "max_replicas": most, "target_ongoing_requests": in_hand, **AUTOSCALING}
        self._serve.run_many([self._target(autoscaling_config=choice)], wait_for_applications_running=False)
        return self.status()

    def status(self) -> "dict[str, Any]":
        """The replicas by the state that Ray gives them."""
        deployments = self._serve.status().applications[APP].deployments.values()
        counts: dict[str, int] = {}
        for deployment in deployments:
            counts |= {str(getattr(state, "value", state)): n for state, n in deployment.replica_states.items() if n}
        return {"replicas": counts}

    def _raise_if_failed(self) -> None:
        app = self._serve.status().applications[APP]
        if app.status.value == "DEPLOY_FAILED":
            raise RuntimeError(app.message)

    def _target(self, **numbers: Any) -> Any:
        settings = self._settings

        def build() -> Any:  # goes to the replicas by value
            spec = importlib.util.spec_from_file_location("_lab_launch", f"{settings['server_child']}/launch.py")
            assert spec is not None
            assert spec.loader is not None
            launch = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(launch)
            return launch.load_privately(Path(settings["replica"])).build(settings, launch)

        deployment = self._serve.deployment(self._serve.ingress(build)()).options(
            name="replica",
            ray_actor_options={"num_cpus": 1},
            max_ongoing_requests=IN_HAND_MOST,
            graceful_shutdown_wait_loop_s=LEAVE_WITHIN_S,
            **numbers,
        )
        # Else each call counts as new code, and the replicas that are there would be replaced.
        deployment._version = "the same"
        return self._serve.RunTarget(deployment.bind(), name=APP, route_prefix="/")


def main() -> None:
    lifeline.die_with_owner()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray prints is no answer
    driver = Driver(json.loads(Path(sys.argv[1]).read_text()))
    for line in sys.stdin:
        asked = json.loads(line)
        do: Callable[..., dict[str, Any]] = getattr(driver, asked.pop("do"))
        try:
            answer = do(**asked)
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
