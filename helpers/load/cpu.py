"""Where the machine's CPU time went during a run, in cores' worth: from two snapshots of the engine."""

import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

TICKS_S = 0.05  # the kernel counts in steps of 10 ms, and there are several processes


class Snapshot(TypedDict):
    """Running totals at one moment, as the engine reads them."""

    at_ns: int
    engine_s: float
    run_delay_ns: int | None
    busy_s: float
    idle_s: float
    steal_s: float
    owner_s: float | None
    server_s: dict[str, float]  # pid -> seconds
    server_ended_s: float  # of processes that the server's had started, and that have ended


@dataclass(frozen=True)
class CpuSplit:
    """Cores' worth of CPU time: 1.0 is one core kept busy all the time. The parts add up to `cores`."""

    wall_s: float
    cores: int
    workers: dict[int, float]  # pid -> cores
    rest_of_server: float  # the parent, which only supervises, and whatever else the server started
    generator: float
    owner: float  # the notebook or program that asked for the test
    others: float
    idle: float
    steal: float  # the host gave it to other virtual machines
    run_delay_share: float | None
    server_gone: tuple[int, ...]  # processes of the server that ended, if what they used is among the others

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"workers": {str(pid): used for pid, used in self.workers.items()}}


def split(before: Snapshot, after: Snapshot, workers: Collection[int], parent: int | None) -> CpuSplit:
    """Divide the time between two snapshots among those who used it."""
    wall_s = (after["at_ns"] - before["at_ns"]) / 1e9
    cores = os.cpu_count() or 1
    # a process that was not there before has used all its time since
    used = {int(pid): (end - before["server_s"].get(pid, 0.0)) / wall_s for pid, end in after["server_s"].items()}
    per_worker = {pid: used.get(pid, 0.0) for pid in workers if pid != parent or len(workers) == 1}
    gone = [pid for pid in before["server_s"] if pid not in after["server_s"]]
    # what they had used before is no part of this window; negative: nobody has waited for them, so nobody knows
    ended = (after["server_ended_s"] - before["server_ended_s"] - sum(before["server_s"][pid] for pid in gone)) / wall_s
    server = sum(used.values()) + max(0.0, ended)
    generator = (after["engine_s"] - before["engine_s"]) / wall_s
    owner = max(0.0, (after["owner_s"] or 0.0) - (before["owner_s"] or 0.0)) / wall_s
    idle = (after["idle_s"] - before["idle_s"]) / wall_s
    steal = (after["steal_s"] - before["steal_s"]) / wall_s
    # Not from the kernel's busy time, which is sampled by ticks: idle time and that of a process are counted exactly.
    others = max(0.0, cores - idle - steal - server - generator - owner)
    delays = (before["run_delay_ns"], after["run_delay_ns"])
    return CpuSplit(
        wall_s=wall_s,
        cores=cores,
        workers=per_worker,
        rest_of_server=max(0.0, server - sum(per_worker.values())),
        generator=generator,
        owner=owner,
        others=others,
        idle=idle,
        steal=steal,
        run_delay_share=None if None in delays else (delays[1] - delays[0]) / 1e9 / wall_s,  # type: ignore[operator]
        server_gone=tuple(map(int, gone)) if ended < -TICKS_S / wall_s else (),
    )
