"""Where Prometheus reads the metrics: `http://host:port/metrics`."""

from prometheus_client import start_http_server

from bridge.observability.metrics import Metrics


class MetricsServer:
    """Answers in threads of its own, so that a scrape never waits for the event loop."""

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        """Listens; port 0 takes a free one. Raises OSError where the port is taken."""
        self._server, self._thread = start_http_server(port, host, metrics.registry)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def close(self) -> None:
        """Stops answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
