"""A bridge that asks who calls: API keys, TLS, mutual TLS, no reflection; health stays open to whoever supervises."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pydantic import ValidationError

from bridge.security.api_keys import new_key
from bridge.server import BridgeServer
from bridge.settings import Settings
from protos import starweave_pb2, starweave_pb2_grpc
from standalone.ports import free_port

MODELS = starweave_pb2.ModelRequest()


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files of one authority, and the authority itself."""

    authority: trustme.CA
    certificate: Path
    key: Path
    client_ca: Path

    def renew(self) -> None:
        """Writes another certificate of the same authority."""
        issued = self.authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(self.key)
        with self.certificate.open("wb") as file:
            file.writelines(blob.bytes() for blob in issued.cert_chain_pems)

    def client(self, authority: trustme.CA | None = None) -> grpc.ChannelCredentials:
        """What a client that trusts the authority shows: nothing, or a certificate that another has signed."""
        roots = self.authority.cert_pem.bytes()
        if authority is None:
            return grpc.ssl_channel_credentials(roots)
        issued = authority.issue_cert("client")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        return grpc.ssl_channel_credentials(roots, issued.private_key_pem.bytes(), chain)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(trustme.CA(), tmp_path / "certificate.pem", tmp_path / "key.pem", tmp_path / "ca.pem")
    made.authority.cert_pem.write_to_path(made.client_ca)
    made.renew()
    return made


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[int]:
    nobody = free_port(39001, "localhost")
    server = BridgeServer(
        Settings(host="localhost", port=0, triton_url=f"localhost:{nobody}", **({"recovery_wait": 0} | settings))
    )
    port = await server.start()
    try:
        yield port
    finally:
        await server.stop()


async def models(channel: grpc.aio.Channel, *metadata: tuple[str, str]) -> Any:
    stub: Any = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
    return await stub.GetImageModels(MODELS, metadata=metadata, timeout=20)


async def services(channel: grpc.aio.Channel) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=20)
    return {service.name async for answer in call for service in answer.list_services_response.service}


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_only_known_keys_come_in(tmp_path: Path) -> None:
    new = new_key("app")
    (tmp_path / "keys").write_text(new.line)
    async with (
        running(api_keys_file=tmp_path / "keys", metrics_port=0) as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        await models(channel, ("authorization", f"Bearer {new.key}"))
        await models(channel, ("x-api-key", new.key))
        for metadata in ([], [("x-api-key", "wrong")], [("authorization", f"Basic {new.key}")]):
            error = await refusal(models(channel, *metadata))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert "authorization: Bearer KEY" in str(error.details())
        stub: Any = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        stream = stub.GenerateImageStream(starweave_pb2.ImageRequest(prompt="a fox"))
        assert (await refusal(stream.read())).code() is grpc.StatusCode.UNAUTHENTICATED
        assert (await refusal(services(channel))).code() is grpc.StatusCode.UNAUTHENTICATED
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())


async def test_keys_have_shares_of_their_own(tmp_path: Path) -> None:
    """Pictures that wait for a model count too."""
    app, other = new_key("app"), new_key("other")
    (tmp_path / "keys").write_text(f"{app.line}\n{other.line}")
    request = starweave_pb2.ImageRequest(prompt="a fox")
    async with (
        running(api_keys_file=tmp_path / "keys", key_concurrency=1, recovery_wait=60) as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        stub: Any = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        waiting = [stub.GenerateImage(request, metadata=[("x-api-key", each.key)]) for each in (app, other)]
        while not (
            refused := await stub.GenerateImage(
                starweave_pb2.ImageRequest(prompt="a fox", timeout_ms=100), metadata=[("x-api-key", app.key)]
            )
        ).error.startswith("The API key app may have 1 picture under way"):
            assert refused.error.startswith("No model is ready"), refused.error
        assert not any(call.done() for call in waiting)
        for call in waiting:
            call.cancel()


async def test_a_hardened_bridge_has_no_reflection(tmp_path: Path) -> None:
    new = new_key("app")
    (tmp_path / "keys").write_text(new.line)
    with pytest.raises(ValidationError, match="it lets no strangers in"):
        Settings(hardened=True)
    async with (
        running(api_keys_file=tmp_path / "keys", hardened=True) as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        await models(channel, ("x-api-key", new.key))
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        # Nothing is sent: a message that meets the refusal on its way would be an error of its own.
        call = stub.ServerReflectionInfo(metadata=[("x-api-key", new.key)], timeout=20)
        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_tls_is_asked_for_and_a_renewed_certificate_is_taken_over(files: Files) -> None:
    async with running(tls_certificate=files.certificate, tls_key=files.key) as port:
        async with grpc.aio.secure_channel(f"localhost:{port}", files.client()) as channel:
            await models(channel)
        async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
            assert (await refusal(models(channel))).code() is grpc.StatusCode.UNAVAILABLE
        old = files.certificate.read_bytes()
        files.certificate.write_text("in the middle of being written")
        os.utime(files.certificate, (1, 1))
        async with grpc.aio.secure_channel(f"localhost:{port}", files.client()) as channel:
            await models(channel)
        files.renew()
        os.utime(files.certificate, (2, 2))
        shown = await asyncio.to_thread(ssl.get_server_certificate, ("localhost", port))
        assert shown in files.certificate.read_text()
        assert files.certificate.read_bytes() != old
        async with grpc.aio.secure_channel(f"localhost:{port}", files.client()) as channel:
            await models(channel)


async def test_mutual_tls_asks_for_a_certificate_of_the_right_authority(files: Files) -> None:
    async with running(tls_certificate=files.certificate, tls_key=files.key, tls_client_ca=files.client_ca) as port:
        async with grpc.aio.secure_channel(f"localhost:{port}", files.client(files.authority)) as channel:
            await models(channel)
        for stranger in (None, trustme.CA()):
            async with grpc.aio.secure_channel(f"localhost:{port}", files.client(stranger)) as channel:
                assert (await refusal(models(channel))).code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"tls_certificate": "x"}, "set both or none"),
        ({"tls_key": "x"}, "set both or none"),
        ({"tls_client_ca": "x"}, "needs tls_certificate and tls_key"),
    ],
)
def test_half_a_tls_is_refused(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Settings(**settings)
