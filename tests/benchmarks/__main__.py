"""The load engine against its targets and against other load generators: run by hand, on a machine that rests.

    python3 -m tests.benchmarks            # everything (about 12 minutes); picture and tables go to results/
    python3 -m tests.benchmarks --quick    # 2 rounds of 1 s (about 90 s): does it run?
    python3 -m tests.benchmarks --only agreement

Exit code 1 when a target was missed, 3 when the machine was too restless to tell. What is not installed is left out,
and that is said.
"""

import argparse
import os
import shutil
import time
from datetime import UTC, datetime

from helpers import store
from tests.benchmarks.agreement import agreement
from tests.benchmarks.engine_cost import USERS, compare, growth, one_connection
from tests.benchmarks.figure import cost_picture
from tests.benchmarks.findings import Report
from tests.benchmarks.footprint import RECORDS, memory, start
from tests.benchmarks.rivals import CLIENT_CORE, CORES, DEBIAN, nginx, uvicorn

PARTS = ("uvicorn", "nginx", "one", "growth", "memory", "start", "agreement")
WITH_NGINX = {"nginx", "one", "growth", "memory", "start"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=PARTS, action="append", help="may be given several times")
    options = parser.parse_args()
    wanted = set(options.only or PARTS)
    store.check_writable()
    os.sched_setaffinity(0, {CLIENT_CORE})  # whatever is started from here inherits it
    if len(CORES) < 2:
        print("one core: client and server share it, so the rates mean little")
    if not shutil.which("nginx") and wanted & WITH_NGINX:
        print(f"missing: nginx (Debian package {DEBIAN['nginx']}): {', '.join(sorted(wanted & WITH_NGINX))} left out")
        wanted -= WITH_NGINX
    if not shutil.which("wrk") and "agreement" in wanted:
        print("missing: wrk (Debian package wrk): agreement left out")
        wanted -= {"agreement"}
    report = Report(*((2, 1.0) if options.quick else (5, 5.0)))
    begin_s = time.monotonic()
    measure(report, wanted, records=RECORDS // 10 if options.quick else RECORDS)
    save(report)
    print(f"{time.monotonic() - begin_s:.0f} s; targets missed: {len(report.missed)}, not told: {len(report.untold)}")
    for finding in [*report.missed, *report.untold]:
        print(f"  {finding}")
    return 1 if report.missed else 3 if report.untold else 0


def measure(report: Report, wanted: set[str], records: int) -> None:
    if "uvicorn" in wanted:
        with uvicorn() as url:
            compare(report, "uvicorn", url)
    if wanted & WITH_NGINX:
        with nginx() as url:
            if "nginx" in wanted:
                compare(report, "nginx", url)
            if "one" in wanted:
                one_connection(report, url)
            if "growth" in wanted:
                growth(report, url)
            if "memory" in wanted:
                memory(report, url, records)
            if "start" in wanted:
                start(report, url)
    if "agreement" in wanted:
        agreement(report)


def save(report: Report) -> None:
    """Everything as JSON, the findings as a table, and the costs as a picture, side by side in results/."""
    name = f"benchmark-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    files = [store.save("benchmark", report.summary()), store.save_text(f"{name}.md", report.markdown())]
    if report.costs:
        picture = cost_picture(report.costs, users=USERS)
        files.append(picture.save(store.RESULTS / f"{name}.png"))
        print(picture.table.to_string(index=False))
    print("saved: " + ", ".join(store.shown(file) for file in files))


if __name__ == "__main__":
    raise SystemExit(main())
