"""The worker: Kubernetes out. Holds kubeconfigs and credentials, takes runs from the queue, carries them out."""
