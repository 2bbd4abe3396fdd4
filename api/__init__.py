"""HTTP in: the API that callers, the command line, the web page and chat use."""
