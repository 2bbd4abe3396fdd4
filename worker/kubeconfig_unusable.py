"""What is said of a kubeconfig that cannot be used."""


class Unusable(Exception):
    """A file or a context cannot be used; the message is safe to show."""
