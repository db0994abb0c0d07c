"""TLS and mutual TLS for the bridge's port."""

from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the server's certificate chain, its key, and where clients must show a certificate, who signs them."""

    certificate: Path
    key: Path
    client_authority: Path | None


class TlsCredentials:
    """Credentials that follow their files, so that a renewed certificate needs no restart."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises OSError where a file cannot be read."""
        self._files = files
        self._changed_at = self._stamp()
        self.credentials = grpc.dynamic_ssl_server_credentials(
            self._read(),
            self._renewed,  # type: ignore[arg-type]  # the stubs leave out that None is an answer
            require_client_authentication=files.client_authority is not None,
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC at each handshake; None keeps what there is."""
        try:
            stamp = self._stamp()
            if stamp == self._changed_at:
                return None
            configuration = self._read()
        except OSError:
            # In the middle of being replaced.
            return None
        self._changed_at = stamp
        return configuration

    def _read(self) -> grpc.ServerCertificateConfiguration:
        authority = self._files.client_authority
        return grpc.ssl_server_certificate_configuration(
            [(self._files.key.read_bytes(), self._files.certificate.read_bytes())],
            root_certificates=None if authority is None else authority.read_bytes(),
        )

    def _stamp(self) -> tuple[int, ...]:
        files = (self._files.certificate, self._files.key, self._files.client_authority)
        return tuple(file.stat().st_mtime_ns for file in files if file is not None)
