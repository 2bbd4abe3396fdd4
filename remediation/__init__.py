"""The domain: what was asked, what was found, what to write, what came of it. No I/O, no clock."""

__version__ = "0.1.0"
