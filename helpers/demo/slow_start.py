"""The demo API with a slow import: the pause stands for the loading of a model, which many apps do at this place."""

import time

from helpers.demo.api import app

__all__ = ["app"]

time.sleep(3)
