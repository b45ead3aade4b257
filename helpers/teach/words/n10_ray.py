"""Notebook 10: the same app on Ray Serve: replicas, their price, the loss of a node; words and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.cluster.cluster import Cluster
from helpers.cluster.needs import Found
from helpers.incident.result import Incident
from helpers.load.result import LoadResult
from helpers.plots.picture import count, duration, short
from helpers.teach.kinds import per_s
from helpers.teach.outcomes import GAIN_FROM, NO_GAIN_BELOW, VOID, ratio_in_words
from helpers.teach.widgets import folded, html
from helpers.teach.words.n05 import void_in_words
from helpers.teach.words.n09 import void_of
from helpers.teach.words.n10 import Rounds, gain, why_void

if TYPE_CHECKING:
    from helpers.plots.picture import Picture
    from helpers.plots.price_plot import Price

NODE_LOST = "a node is lost"
ENDPOINTS = {"/whoami": "/whoami (next to no work)", "/cpu": "/cpu (works)"}
ASSUMED_PRICE_MS = 3.0
DEARER = 1.5  # times the price of next to no work: not the same for both any more


# --------------------------------------------------------------------------------------------------- is it here?


def here(found: Found, cluster: Cluster) -> Any:
    """What of this notebook can be measured here, and what cannot."""
    if not found.ready:
        why = escape(found.why_not[0].upper() + found.why_not[1:])
        until = "Until then the cells about Ray say what they would do, and show no numbers"
        return html(f"<p><b>{why}</b>; {escape(found.hint)}. {until}.</p>")
    if not found.apart:
        return html(
            f"<p>{escape(str(found))}. A second node would have to be reachable from outside, so there is none: what"
            f" the loss of a node does cannot be shown here ({count(cluster.nodes, 'node')} asked for, one made).</p>"
        )
    return html(f"<p>{count(cluster.nodes, 'node')} will run, each with one CPU as Ray counts them.</p>")


# ----------------------------------------------------------------------------------------------------- replicas


def replicas_in_words(hosts: Rounds, replicas: Rounds) -> str:
    """The second replica, beside the second host."""
    ratio, plain = gain(replicas), gain(hosts)
    if ratio.value is None:
        return f"This {VOID}: {why_void(replicas)}"
    told = f"The second replica made it {ratio_in_words(ratio)} the answers."
    if ratio.value >= GAIN_FROM:
        told += " The same app, unmodified: Ray Serve put it on another node, and gave that node its share."
    elif ratio.value < NO_GAIN_BELOW:
        told += " Was there a second core for it? Ray counts CPUs, but it does not make any."
    else:
        told += " That is less than twice: Ray's own processes work on the same two cores (the next picture)."
    if plain.value is not None:
        told += f" Two plain hosts behind nginx: {ratio_in_words(plain)}."
    return told


# -------------------------------------------------------------------------------------------------------- price


def prices(uvicorn: Mapping[str, LoadResult], ray: Mapping[str, LoadResult]) -> "list[Price]":
    """ms per answer of one worker and of one replica, each always having work."""
    from helpers.plots.price_plot import Price

    return [Price(name, _ms(uvicorn.get(path)), _ms(ray.get(path))) for path, name in ENDPOINTS.items()]


def price_ms(uvicorn: Mapping[str, LoadResult], ray: Mapping[str, LoadResult]) -> float | None:
    """What Ray Serve adds to an answer that is next to no work; None where it was not measured."""
    return prices(uvicorn, ray)[0].added_ms


def price_picture(uvicorn: Mapping[str, LoadResult], ray: Mapping[str, LoadResult]) -> "Picture | Any":
    """Bars of ms per answer; words where Ray was not measured."""
    from helpers.plots.price_plot import price_plot

    if not ray:
        return html(f"<p>This {VOID}: there is no cluster.</p>")
    below = f"one worker against one replica, {uvicorn['/cpu'].plan.users} users"
    return price_plot(prices(uvicorn, ray), alone="the app on uvicorn", added="added by Ray Serve", below=below)


def price_in_words(uvicorn: Mapping[str, LoadResult], ray: Mapping[str, LoadResult]) -> Any:
    """Folded: where the price shows, and where not; nothing without a cluster."""
    return html(folded("What the picture shows", _price_in_words(uvicorn, ray)) if ray else "")


def _price_in_words(uvicorn: Mapping[str, LoadResult], ray: Mapping[str, LoadResult]) -> str:
    light, heavy = prices(uvicorn, ray)
    if light.added_ms is None or heavy.added_ms is None or not light.alone_ms or not heavy.alone_ms:
        return void_in_words(*uvicorn.values(), *ray.values())
    told = (
        f"To each answer of one busy process Ray Serve adds {_added(light)}, and {_added(heavy)}. A request goes to a"
        " proxy, which is a Python program itself, chooses a replica, and hands request and answer over."
    )
    if heavy.seen and heavy.added_ms > DEARER * light.added_ms:
        told += " It is no fixed price here: proxy, replica and load share this machine's cores, and wait for them."
    cpu = ray["/whoami"].cpu
    if cpu is not None:
        told += (
            f" Under /whoami the replica used {sum(cpu.workers.values()):.2f} cores' worth of CPU, and the rest of Ray"
            f" {cpu.rest_of_server:.2f}."
        )
    return told + " It is a price per request: who computes for a second does not notice it, who answers “ok” does."


def _added(price: "Price") -> str:
    """What is added to one endpoint, in words."""
    where, alone = price.name.split()[0], f"uvicorn alone: one per {duration(price.alone_ms or 0.0)}"
    if not price.seen:
        return f"nothing that stands out from the noise at {where} ({alone})"
    times = short((price.with_ms or 0.0) / (price.alone_ms or 1.0))
    return f"{duration(price.added_ms or 0.0)} at {where} ({alone}; {times} times)"


def _ms(result: LoadResult | None) -> float | None:
    rate = per_s(result)
    return None if rate is None else 1000 / rate


# ------------------------------------------------------------------------------------------------- a node is lost


@dataclass(frozen=True)
class Ledger:
    """Every attempt of a load: sent = answered + failed for good + failed and sent again."""

    name: str
    sent: int
    answered: int
    failed: int
    retried: int

    def __str__(self) -> str:
        return f"{self.sent:,} sent = {self.answered:,} answered + {self.failed:,} failed + {self.retried:,} sent again"


def ledger(name: str, incident: Incident) -> Ledger:
    """What became of each of its attempts, exactly."""
    failed = incident.gave_up
    return Ledger(name, incident.sent, incident.ok, failed, incident.lost - failed)


def ledgers_as_table(incidents: Mapping[str, Incident | None]) -> Any:
    """A row for each load that was run; the sums are in it."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, incident in incidents.items():
        one = None if incident is None else ledger(name, incident)
        row: dict[str, Any] = dict.fromkeys(("sent", "answered", "failed", "sent again", "in hand"), "–")
        if one is not None and incident is not None:
            row = {"sent": one.sent, "answered": one.answered, "failed": one.failed, "sent again": one.retried}
            row["in hand"] = incident.unfinished
        rows.append({"": name, **row})
    return pd.DataFrame(rows, dtype=object).set_index("")


def node_lost_in_words(incident: Incident | None, again: Incident | None, replicas_after: int) -> str:
    """What the loss of a node cost, with clients that ask once and with clients that ask again."""
    if incident is None:
        return f"This {VOID}: it takes a second node."
    if void := void_of(incident):
        return void
    told = f"{ledger('', incident)}. "
    if incident.lost:
        told += (
            f"{incident.unfinished} requests were begun in that node's replica and never finished, by its own count."
            " The proxy knows no better than its client whether they were executed, so it does not repeat them: it"
            " answers with an error of its own. All later ones went to the replica that is left."
        )
    else:
        told += "Nothing was lost: that node had nothing in hand just then. Run it again."
    if again is not None and not void_of(again):
        told += f" With clients that ask again: {ledger('', again)}."
    wanted = f" Ray goes on wanting two replicas. There is room for {replicas_after}, until another node joins."
    return told + wanted
