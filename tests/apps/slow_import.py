"""An app whose import takes a while, as one that loads a model does."""

import os
import time

time.sleep(float(os.environ["IMPORT_S"]))

from bare import app  # noqa: E402, F401
