"""An app that needs a package which is not installed."""

import not_installed  # noqa: F401
