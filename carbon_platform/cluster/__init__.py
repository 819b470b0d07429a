"""The one place that talks to Kubernetes: client, watch, tunnels to Services, secrets."""
