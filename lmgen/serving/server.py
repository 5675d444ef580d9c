"""
Listen on an address, and answer until a signal comes.

Ctrl-C and SIGTERM let requests that are under way finish; a second Ctrl-C does not. Clients who stopped to
take their answers are not waited for.
"""

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import uvicorn

from lmgen.errors import ConfigError, LmgenError
from lmgen.serving.app import make_app
from lmgen.serving.config import KEY_VARIABLE, PATIENCE, ServingConfig
from lmgen.text_model import TextModel

CONNECTIONS = 1000
"""More connections at once are turned away."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AddressError(LmgenError):
    """An address cannot be listened on."""


def listen_and_serve(
    models: Sequence[TextModel],
    config: ServingConfig,
    *,
    on_ready: Callable[[str], None],
    on_bug: Callable[[Exception], None],
) -> None:
    """
    Serve models until a signal ends it.

    Args:
        models: one or more.
        config: the settings.
        on_ready: called with the address of the page as soon as it answers.
        on_bug: called with an exception that no answer was foreseen for.

    Raises:
        AddressError: the address cannot be listened on.
        ConfigError: other machines reach the address and there is no key; or two models have one name.
        KeyboardInterrupt: a second Ctrl-C came before all requests were finished.
    """
    family, address = _resolved(config.host, config.port)
    is_local = ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
    if not is_local and config.api_key is None:
        raise ConfigError(
            f"--host {config.host} lets other machines ask this server, so it needs a key: set "
            f"{KEY_VARIABLE} in the environment, or give --api-key"
        )
    app = make_app(models, config, is_local=is_local, on_bug=on_bug)
    listening = _listening(family, address, config)
    port = listening.getsockname()[1]
    host = f"[{config.host}]" if ":" in config.host else config.host
    server = _Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
        ),
        lambda: on_ready(f"http://{host}:{port}/"),
    )
    with listening, _ending(server):
        server.run(sockets=[listening])
    if server.force_exit:
        raise KeyboardInterrupt


class _Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        dropping = asyncio.create_task(self._drop_resting())
        try:
            await super().shutdown(sockets=sockets)
        finally:
            dropping.cancel()

    async def _drop_resting(self) -> None:
        """End the connections of clients who take nothing of what waits for them."""
        resting: dict[asyncio.Transport, tuple[int, float]] = {}
        while True:
            now = asyncio.get_running_loop().time()
            before, resting = resting, {}
            for transport in [each.transport for each in self.server_state.connections]:
                size = transport.get_write_buffer_size()
                if not size:
                    continue
                size_before, since = before.get(transport, (-1, now))
                resting[transport] = (size, since if size == size_before else now)
                if now - resting[transport][1] > PATIENCE:
                    transport.abort()
            await asyncio.sleep(0.5)


@contextmanager
def _ending(server: uvicorn.Server) -> Iterator[None]:
    """
    Within the block, signals end the server.

    It handles them itself while it runs, and raises them again at its end: here, where that is nothing new.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    try:
        before = {number: signal.signal(number, end) for number in SIGNALS}
    except ValueError:  # in a thread, which signals never reach
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The address that a host stands for."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"--host {host} is no address of this machine: {error}") from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def _listening(
    family: socket.AddressFamily, address: tuple[str, int], config: ServingConfig
) -> socket.socket:
    try:
        return socket.create_server(address, family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise AddressError(
            f"cannot listen on {config.host}, port {config.port}: {error.strerror or error}; choose another "
            "--port (0 takes a free one) or --host"
        ) from error
