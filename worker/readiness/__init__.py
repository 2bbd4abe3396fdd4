"""Readiness checks on one cluster: read it page by page, hand it to the judgement, store what that says."""
