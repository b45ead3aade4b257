"""Waiting lines whose answer is a formula: M/M/c (Erlang C) and M/G/1 (Pollaczek-Khinchine), as pure functions.

Kendall's names: how requests come / how long one takes / how many servers. M: at random (exponential), D: always the
same, G: any distribution. Times in seconds, rates per second. A value that makes no sense raises InputError, and so
does a load that the servers cannot carry: its line grows without end, and no mean exists.
"""

import math

from helpers.errors import InputError
from helpers.theory.inputs import above_zero, at_least_zero, share_below_one, whole

MOST_SERVERS = 100_000


def utilisation(rate_per_s: float, service_s: float, servers: int = 1) -> float:
    """rho = lambda S / c: the share of the time that each of `servers` is busy; 1 or more is overload."""
    busy = at_least_zero("rate_per_s", rate_per_s) * above_zero("service_s", service_s)
    return busy / whole("servers", servers, MOST_SERVERS)


# ------------------------------------------------------------------------------------------------------------ M/M/c
# A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
# exchanges", The Post Office Electrical Engineers' Journal 10, 1917-18. As in D. Gross, C. M. Harris, "Fundamentals of
# Queueing Theory", the chapter on multi-server queues. One line, the first free server takes the first in it.


def erlang_c(rate_per_s: float, service_s: float, servers: int = 1) -> float:
    """C(c, a) = B / (1 - rho (1 - B)): the probability that a request has to wait at all; rho with one server.

    B is Erlang's loss formula by its recursion B(k) = a B(k - 1) / (k + a B(k - 1)), B(0) = 1, with a = lambda S: the
    textbook's sum of powers over factorials overflows beyond some 170 servers.
    """
    rho = _stable(rate_per_s, service_s, servers)
    load, lost = rate_per_s * service_s, 1.0
    for k in range(1, servers + 1):
        lost = load * lost / (k + load * lost)
    return lost / (1 - rho * (1 - lost))


def mmc_wait_s(rate_per_s: float, service_s: float, servers: int = 1) -> float:
    """W = C / (c / S - lambda): the mean seconds in the line, over all requests, those that need not wait included."""
    return erlang_c(rate_per_s, service_s, servers) / (servers / service_s - rate_per_s)


def mmc_response_s(rate_per_s: float, service_s: float, servers: int = 1) -> float:
    """R = W + S: the mean seconds from arrival to answer."""
    return mmc_wait_s(rate_per_s, service_s, servers) + service_s


def mmc_wait_percentile_s(rate_per_s: float, service_s: float, servers: int = 1, *, share: float) -> float:
    """The wait that `share` of the requests (0.99 for p99) do not exceed: ln(C / (1 - share)) / (c / S - lambda).

    From P(wait > t) = C exp(-(c / S - lambda) t); 0 where fewer than 1 - share of them wait at all.
    """
    beyond = 1 - share_below_one("share", share)
    waits = erlang_c(rate_per_s, service_s, servers)
    return math.log(waits / beyond) / (servers / service_s - rate_per_s) if waits > beyond else 0.0


# ------------------------------------------------------------------------------------------------------------ M/G/1
# F. Pollaczek, "Ueber eine Aufgabe der Wahrscheinlichkeitstheorie", Mathematische Zeitschrift 32, 1930; A. Y.
# Khinchine, Matematicheskii Sbornik 39, 1932.


def mg1_wait_s(rate_per_s: float, service_s: float, cv: float) -> float:
    """W = rho S (1 + cv^2) / (2 (1 - rho)): the mean seconds in the line of one server.

    `cv` is the coefficient of variation of the service times, their standard deviation over their mean: 0 when all are
    alike (M/D/1, half the wait of M/M/1), 1 when they are exponential (M/M/1), more with a few very long ones. The
    order of service may be any that does not look at how long a request will take.
    """
    rho = _stable(rate_per_s, service_s, 1)
    return rho * service_s * (1 + at_least_zero("cv", cv) ** 2) / (2 * (1 - rho))


def mg1_response_s(rate_per_s: float, service_s: float, cv: float) -> float:
    """R = W + S: the mean seconds from arrival to answer with one server."""
    return mg1_wait_s(rate_per_s, service_s, cv) + service_s


def _stable(rate_per_s: float, service_s: float, servers: int) -> float:
    rho = utilisation(rate_per_s, service_s, servers)
    if rho >= 1:
        most = servers / service_s
        raise InputError(
            f"rate_per_s={rate_per_s:g} is too much for {servers} x {service_s:g} s: utilisation {rho:.3g}",
            f"stay below {most:.4g} requests/s; at or above it the line grows without end, and there is no mean wait",
        )
    return rho
