"""
Who may ask: what every request has to pass before its body is read.

Pages of other origins that are open in a browser on this machine can send requests to it, too. They are kept
out three times: by the name that the browser asked for (which a page that rebinds its own name to this
address cannot change), by the page's origin, and because only bodies of `application/json` are taken, which a
browser sends to another origin only after asking, and nobody answers.
"""

import json
import secrets
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from lmgen.serving.errors import ApiError

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 4 * 2**20
"""Size of the largest body that is read."""

OPEN_PATHS = frozenset({"/"})
"""What is given without a key: the page, which asks for it."""


class Guard:
    """An ASGI application around another that turns away what it should not see."""

    def __init__(
        self,
        app: App,
        *,
        hosts: Collection[str] | None,
        api_key: str | None,
        on_bug: Callable[[Exception], None],
    ) -> None:
        """
        Args:
            app: what answers the others.
            hosts: names that clients may call this machine by; None: any.
            api_key: what they have to know; None: nothing.
            on_bug: called with an exception that no answer was foreseen for.
        """
        self._app, self._hosts = app, hosts
        self._key = None if api_key is None else api_key.encode()
        self._on_bug = on_bug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or turn it away."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, _limited(receive), sending)
        except ApiError as refused:
            if not begun:
                await _refuse(refused, send)
        except Exception as bug:
            self._on_bug(bug)
            if not begun:
                await _refuse(bug_error(bug), send)

    def _check(self, scope: Scope) -> None:
        """
        Check all that stands before the body.

        Raises:
            ApiError: the request is turned away.
        """
        headers = {name.lower(): value for name, value in scope["headers"]}
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._hosts is not None and _name(host) not in self._hosts:
            raise ApiError(
                "this server was asked for by a name that is not its own; call it as localhost or by its "
                "address",
                status=403,
                code="host_not_allowed",
            )
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin and origin.partition("://")[2] != host:
            raise ApiError("pages of other origins may not ask this server", status=403, code="cross_origin")
        if self._key is not None and scope["path"] not in OPEN_PATHS:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not secrets.compare_digest(given.strip(), self._key):
                raise ApiError(
                    "this server asks for a key: send it as Authorization: Bearer KEY",
                    status=401,
                    code="invalid_api_key",
                    headers={"www-authenticate": "Bearer"},
                )
        if scope["method"] == "POST":
            _check_body(headers)


def bug_error(bug: Exception) -> ApiError:
    """What a client is told of an exception that nobody foresaw."""
    return ApiError(f"a bug in lmgen: {type(bug).__name__}", status=500, code="bug")


def _check_body(headers: dict[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise ApiError("the body has to be JSON, with the header Content-Type: application/json", status=415)
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > MOST_BYTES:
        raise _too_large()


def _too_large() -> ApiError:
    return ApiError(f"the body is larger than {MOST_BYTES:,} bytes", status=413, code="body_too_large")


def _limited(receive: Receive) -> Receive:
    """The same messages, up to the size of the largest body."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MOST_BYTES:
            raise _too_large()
        return message

    return limited


def _name(host: str) -> str:
    """A host without its port: `localhost:8000` -> `localhost`, `[::1]:8000` -> `[::1]`."""
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


async def _refuse(error: ApiError, send: Send) -> None:
    body = json.dumps(error.to_json()).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",  # what is left of the body is not read
        **error.headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": error.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
