"""What operators see of the bridge: metrics, logs and traces."""
