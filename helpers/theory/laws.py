"""Two laws that ask for no model of the server, as pure functions: Little's law and Amdahl's law.

Times are in seconds, rates per second. A value that makes no sense raises InputError.
"""

import math

from helpers.errors import InputError
from helpers.theory.inputs import above_zero, at_least_one, at_least_zero, fraction

# ---------------------------------------------------------------------------------------------------- Little's law
# J. D. C. Little, "A Proof for the Queuing Formula: L = lambda W", Operations Research 9(3), 1961: in any system that
# is steady, the mean number inside = the rate at which they come x the mean time each stays. It asks nothing of the
# distribution, of the order of service or of the number of servers.


def little_in_system(throughput_per_s: float, response_s: float) -> float:
    """L = X R: the mean number of requests in the system (waiting or served)."""
    return at_least_zero("throughput_per_s", throughput_per_s) * at_least_zero("response_s", response_s)


def little_throughput(in_system: float, response_s: float) -> float:
    """X = L / R: the requests per second that `in_system` requests of `response_s` each amount to."""
    return at_least_zero("in_system", in_system) / above_zero("response_s", response_s)


def little_response_s(in_system: float, throughput_per_s: float) -> float:
    """R = L / X: the mean seconds each request stays."""
    return at_least_zero("in_system", in_system) / above_zero("throughput_per_s", throughput_per_s)


def little_users(throughput_per_s: float, response_s: float, think_s: float = 0.0) -> float:
    """N = X (R + Z): the users of a closed load test, each waiting for its answer and then thinking for `think_s`.

    A measurement that gives another number than the users it had has lost or invented time somewhere.
    """
    return little_in_system(throughput_per_s, response_s + at_least_zero("think_s", think_s))


def closed_response_s(users: float, throughput_per_s: float, think_s: float = 0.0) -> float:
    """R = N / X - Z: the mean response time of a closed load, by Little's law.

    Past the limit X stays where it is, so that each further user only makes everybody wait longer.
    """
    think_s = at_least_zero("think_s", think_s)
    response_s = little_response_s(above_zero("users", users), throughput_per_s) - think_s
    if response_s < 0:
        raise InputError(
            f"{users} users who think for {think_s} s cannot send {throughput_per_s} requests/s",
            f"the most they can send is users / think time = {users / think_s:.4g} requests/s",
        )
    return response_s


# ----------------------------------------------------------------------------------------------------- Amdahl's law
# G. M. Amdahl, "Validity of the single processor approach to achieving large scale computing capabilities", AFIPS
# Spring Joint Computer Conference, 1967. The serial fraction s is the share of the time on one processor during which
# a second one could not have helped.


def amdahl_speedup(serial_fraction: float, n: float) -> float:
    """S(n) = 1 / (s + (1 - s) / n): how many times faster `n` processors are than one."""
    serial = fraction("serial_fraction", serial_fraction)
    return 1 / (serial + (1 - serial) / at_least_one("n", n))


def amdahl_limit(serial_fraction: float) -> float:
    """S(infinity) = 1 / s: the speed-up that no number of processors exceeds; infinite where nothing is serial."""
    serial = fraction("serial_fraction", serial_fraction)
    return 1 / serial if serial else math.inf


def amdahl_serial_fraction(speedup: float, n: float) -> float:
    """s = (n / S - 1) / (n - 1): the serial fraction that explains a measured `speedup` of `n` processors.

    The same formula is the Karp-Flatt metric (A. H. Karp, H. P. Flatt, Communications of the ACM 33(5), 1990). It is
    not cut off: noise can put a measured speed-up above `n` (a result below 0) or below 1 (above 1).
    """
    if at_least_one("n", n) == 1:
        raise InputError("n=1 tells nothing about the serial fraction", "use the speed-up of two or more processors")
    return (n / above_zero("speedup", speedup) - 1) / (n - 1)
