"""What the service is told by its environment."""

import os

WAIT_S = float(os.environ["SERVICE_WAIT_S"])
