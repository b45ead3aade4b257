"""Notebook 10, going deeper: autoscaling, Kubernetes line by line, Locust beside our own engine."""

import math
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.cluster.needs import INSTALL
from helpers.cluster.swarm import Swarm
from helpers.incident.result import Incident
from helpers.load.latency import shown
from helpers.load.result import LoadResult
from helpers.plots.picture import short
from helpers.teach.kinds import per_s
from helpers.teach.machines import Machines
from helpers.teach.outcomes import VOID
from helpers.teach.widgets import html

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

AGREES_WITHIN = 0.1
HEAD_LINES = 18
NOT_RUN = "left out at the quick pace, and where there is no cluster"


# -------------------------------------------------------------------------------------------------- autoscaling


def autoscaled(scaled: Incident | None) -> "Picture | Any":
    """Answers and replicas over the time of a load that rises and falls."""
    return html(f"<p>({NOT_RUN})</p>") if scaled is None else scaled.picture("Ray chooses the number of replicas")


def autoscaled_in_words(scaled: Incident | None) -> Any:
    """When the second replica came, and when it went."""
    if scaled is None:
        return html("")
    if scaled.void:
        return html(f"<p>This {VOID}: {escape(scaled.void)}</p>")
    rise_s, fall_s = _edges_s(scaled)
    came = next((at_s for at_s, number in scaled.crew if number > 1 and at_s >= rise_s), None)
    if came is None:
        return html("<p>No second replica came: was the first one ever full? Look at the bars, and raise the rate.</p>")
    went = next((at_s for at_s, number in scaled.crew if number < 2 and at_s > max(came, fall_s)), None)
    told = f"The second replica served {came - rise_s:.1f} s after the load had risen"
    left = f"and left {went - fall_s:.1f} s after it had fallen" if went else "and had not left when the load ended"
    lost = f"{scaled.lost} of {scaled.sent:,} requests were lost; who came in between, waited (07)"
    return html(f"<p>{told}, {left}. {lost}.</p>")


def _edges_s(scaled: Incident) -> tuple[float, float]:
    """When the load rises, and when it falls."""
    first, second = scaled.result.plan.stages[:2]
    return first[1], first[1] + second[1]


# --------------------------------------------------------------------------------------------------- Kubernetes


LINES = (
    ("kind: Deployment", "keep so many containers running", "the supervisor, which replaces a worker (09)"),
    ("replicas:", "how many; your cores at the peak, and the spare ones", "the calculator above"),
    ("maxSurge: 1, maxUnavailable: 0", "a new version: first one more, then one less", "the rolling restart (09)"),
    ("terminationGracePeriodSeconds:", "for so long it may finish what it has", "<code>stop(grace_s=3)</code> (09)"),
    ("command:", "one process, and no <code>--workers</code>", "one worker (01)"),
    ('cpu: "1"', "a core is reserved for it: a worker computes on one", "one worker, many cores (04)"),
    ("memory:", "more than that, and it is killed", "workers in 1 GiB (06)"),
    ("readinessProbe:", "no requests before it answers", "the banner proves nothing (01)"),
    ("preStop: sleep", "first out of the list, then stopped", "the order of <code>take_out</code> above"),
    ("kind: Service", "one address for all of them",
     "the listening socket (03): it gives away connections and repeats nothing, unlike nginx above"),
)  # fmt: skip


def containers(plan: Machines) -> int:
    """One worker each: the cores of the plan, and those of its spare machines."""
    return max(2, _cores(plan) + _spare(plan))


def _cores(plan: Machines) -> int:
    return math.ceil(plan.advice.cores - 1e-9)


def _spare(plan: Machines) -> int:
    return plan.advice.spare * int(plan.values["cores"])


def manifest_text(plan: Machines) -> str:
    """A Deployment and a Service with the plan's number of containers."""
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: api}}
spec:
  replicas: {containers(plan)}  # {_cores(plan)} cores at the peak, and {_spare(plan)} to spare
  selector: {{matchLabels: {{app: api}}}}
  strategy:
    rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {{labels: {{app: api}}}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: api
          image: registry.example/api:1.0
          command: [uvicorn, "api:app", "--host", "0.0.0.0", "--port", "5012"]
          ports: [{{containerPort: 5012}}]
          resources:
            requests: {{cpu: "1", memory: 256Mi}}
            limits: {{memory: 256Mi}}
          readinessProbe:
            httpGet: {{path: /health, port: 5012}}
          lifecycle:
            preStop: {{exec: {{command: [sleep, "5"]}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: api}}
spec:
  selector: {{app: api}}
  ports: [{{port: 80, targetPort: 5012}}]
"""


def manifest(plan: Machines) -> Any:
    """The same, to be read."""
    return html(f'<pre style="font-family:monospace;line-height:1.25">{escape(manifest_text(plan))}</pre>')


def line_by_line() -> Any:
    """What each line says, and where it was met before."""
    cell = 'style="text-align:left;vertical-align:top"'
    rows = "".join(
        f"<tr><td {cell}><code>{escape(line)}</code></td><td {cell}>{says}</td><td {cell}>{seen}</td></tr>"
        for line, says, seen in LINES
    )
    head = "".join(f'<th scope="col" {cell}>{title}</th>' for title in ("The line", "What it says", "Where you met it"))
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")


# ------------------------------------------------------------------------------------------------------- Locust


def agreement(ours: LoadResult, theirs: Swarm | None) -> Any:
    """Locust's numbers beside ours, and whether they agree."""
    if theirs is None:
        return html(
            f"<p>(Not run: at the quick pace, or since Locust is missing; <code>{INSTALL}</code> brings it.)</p>"
        )
    rate = per_s(ours)
    if rate is None:
        return html(f"<p>This {VOID}: {escape(ours.reasons[0])}</p>")
    rows = (
        ("our engine, one process", f"{rate:,.0f}", shown(ours.p50_ms), shown(ours.p95_ms)),
        (
            f"Locust, a master and {theirs.workers} workers",
            f"{theirs.per_s:,.0f}",
            f"{theirs.p50_ms:g} ms",
            f"{theirs.p95_ms:g} ms",
        ),
    )
    body = "".join(f"<tr>{''.join(f'<td>{value}</td>' for value in row)}</tr>" for row in rows)
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "requests/s", "p50", "p95"))
    off = abs(theirs.per_s / rate - 1)
    says = f"They differ by {short(100 * off)} %."
    says += (
        " That is agreement." if off <= AGREES_WITHIN else " That is too much: was one of them disturbed? Run it again."
    )
    ran = f"<pre>{escape(theirs.master)}\n{escape(theirs.worker)}   (on each of {theirs.workers})</pre>"
    return html(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{says} What ran:</p>{ran}")


def head_of(text: str) -> str:
    """The beginning of a locustfile."""
    return "\n".join([*text.splitlines()[:HEAD_LINES], "..."])
