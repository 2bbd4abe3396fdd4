"""The command line: a client of the HTTP API, and `up` and `demo`, which start the other processes."""
