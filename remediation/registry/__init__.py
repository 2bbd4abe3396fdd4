"""Proving a login at a registry: what may be asked, who may see the password, and what the answers mean.

All of it is pure; `worker.registry` asks.
"""
