"""A real Kubernetes and a real registry on loopback, for tests, benchmarks and the demo."""
