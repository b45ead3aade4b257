"""`python3 -m helpers COMMAND`: refuses an old Python in words it understands, then starts the bootstrap.

Written so that Python 2.7 and 3.6 can still parse it: everything newer is behind the check.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the one place that an older Python reads
    sys.stderr.write(
        "error: Python %d.%d is too old: the lab needs Python 3.11 or newer\n"  # noqa: UP031
        "hint: install a newer one and name it, for example: python3.12 -m helpers %s\n"
        % (sys.version_info[0], sys.version_info[1], " ".join(sys.argv[1:]) or "lab")
    )
    sys.exit(2)

from helpers.bootstrap import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
