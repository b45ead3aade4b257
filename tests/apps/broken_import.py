"""An app that fails while it is imported, with an error of its own making."""


class Unconfigured(Exception):
    pass


raise Unconfigured("DATABASE_URL is not set")
