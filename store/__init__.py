"""Redis: records, results, events, leases, inventory and the queue. The only package that knows a key name."""
