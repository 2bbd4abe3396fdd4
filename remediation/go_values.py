"""Texts that Kubernetes reads with Go's own functions, read in the same way."""

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})

_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def is_false(text: str | None) -> bool:
    """Tell whether Go's strconv.ParseBool takes a text for false; what it refuses is not."""
    return text in _FALSE


def is_true(text: str | None) -> bool:
    """Tell whether Go's strconv.ParseBool takes a text for true; what it refuses is not."""
    return text in _TRUE
