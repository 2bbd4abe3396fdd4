"""How this service meets the network: what it trusts and which proxies it takes, both as Go programs do.

Nodes, kubectl and the registries' own clients are Go programs. What they trust works, and what they refuse fails.
"""
