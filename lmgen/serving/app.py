"""The HTTP application: what each address answers. It is imported only where a server is made."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lmgen.errors import LmgenError
from lmgen.serving.answers import CompletionAnswer, event
from lmgen.serving.config import PATIENCE, ServingConfig
from lmgen.serving.engine import BusyError
from lmgen.serving.errors import ApiError
from lmgen.serving.guard import Guard, bug_error
from lmgen.serving.jobs import Job, Update
from lmgen.serving.page import PAGE_HEADERS, page
from lmgen.serving.requests import CompletionRequest, DetokenizeRequest, TokenizeRequest
from lmgen.serving.served import ServedModel, ServedModels
from lmgen.text_model import TextModel

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names by which a server on the loopback address may be called."""

CLIENT_LEFT = 499
"""The status that web servers note for a client who did not wait; nobody receives it."""


def make_app(
    models: Sequence[TextModel], config: ServingConfig, *, is_local: bool, on_bug: Callable[[Exception], None]
) -> Guard:
    """
    The application for some models. Their engines run from its startup to its shutdown.

    Args:
        models: one or more.
        config: the limits and the key.
        is_local: whether only this machine reaches it: then it answers to no other names.
        on_bug: called with an exception that no answer was foreseen for.

    Raises:
        ConfigError: two models have the same name.
    """
    api = _Api(models, config, on_bug)
    routes = [
        Route("/", api.page),
        Route("/v1/models", api.models),
        Route("/v1/models/{model:path}", api.model),
        Route("/v1/completions", api.completions, methods=["POST"]),
        Route("/tokenize", api.tokenize, methods=["POST"]),
        Route("/detokenize", api.detokenize, methods=["POST"]),
        Route("/tokenizer_info", api.tokenizer_info),
    ]
    app = Starlette(
        routes=routes,
        lifespan=api.lifespan,
        exception_handlers={HTTPException: _http_error, ApiError: _api_error, Exception: _bug},
    )
    names = LOCAL_HOSTS | {config.host.lower()} if is_local else None
    return Guard(app, hosts=names, api_key=config.api_key, on_bug=on_bug)


class _Api:
    def __init__(
        self, models: Sequence[TextModel], config: ServingConfig, on_bug: Callable[[Exception], None]
    ) -> None:
        self._config, self._on_bug = config, on_bug
        self._served = ServedModels([ServedModel(each, config, self._deliver) for each in models])
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        for each in self._served.by_id.values():
            each.start()
        try:
            yield
        finally:
            for each in self._served.by_id.values():
                await asyncio.to_thread(each.stop)

    def _deliver(self, updates: Sequence[Update]) -> None:
        """Called in the thread of an engine; passes its updates on to the thread of the server."""
        assert self._loop is not None
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(_pass_on, updates)

    async def page(self, _request: Request) -> Response:
        return Response(page(), media_type="text/html", headers=PAGE_HEADERS)

    async def models(self, _request: Request) -> Response:
        return JSONResponse(
            {"object": "list", "data": [each.to_json() for each in self._served.by_id.values()]}
        )

    async def model(self, request: Request) -> Response:
        return JSONResponse(self._served.find(request.path_params["model"]).to_json())

    async def tokenizer_info(self, request: Request) -> Response:
        return JSONResponse(self._served.find(request.query_params.get("model")).describe_tokenizer())

    async def tokenize(self, request: Request) -> Response:
        asked = TokenizeRequest.of(await _body(request))
        served = self._served.find(asked.model)
        return await _json(lambda: served.tokenize(asked.prompt, with_pieces=asked.with_pieces))

    async def detokenize(self, request: Request) -> Response:
        asked = DetokenizeRequest.of(await _body(request))
        served = self._served.find(asked.model)
        return await _json(lambda: {"prompt": served.detokenize(asked.tokens)})

    async def completions(self, request: Request) -> Response:
        asked = CompletionRequest.of(await _body(request), self._config)
        served = self._served.find(asked.model)
        jobs = await asyncio.to_thread(served.jobs, asked)
        listener = _Listener(served, jobs)
        answer = CompletionAnswer(asked, served.id, jobs)
        listener.begin(request.receive)
        if asked.stream:
            return _EventStream(self._pieces(listener, answer), listener.end)
        try:
            async for updates in listener.updates():
                answer.add(updates)
        except _ClientLeftError:
            return Response(status_code=CLIENT_LEFT)
        except LmgenError as failure:
            raise ApiError(str(failure), status=500) from failure
        finally:
            listener.end()
        return await _json(answer.to_json)

    async def _pieces(self, listener: "_Listener", answer: CompletionAnswer) -> AsyncIterator[bytes]:
        """The server-sent events of an answer; an error that comes after the first is one of them."""
        try:
            async for updates in listener.updates():
                answer.add(updates)
                for piece in answer.pieces():
                    yield piece
            yield answer.end()
        except _ClientLeftError:
            pass
        except Exception as failure:
            if isinstance(failure, LmgenError):
                yield event(ApiError(str(failure), status=500).to_json())
            else:
                self._on_bug(failure)
                yield event(bug_error(failure).to_json())


class _ClientLeftError(Exception):
    """The client does not wait for the rest."""


class _Listener:
    """The updates of one request's jobs, until all of its completions have ended or the client leaves."""

    def __init__(self, served: ServedModel, jobs: Sequence[Job]) -> None:
        self._engine, self._jobs = served.engine, jobs
        self._open = sum(job.num for job in jobs)
        self._heard: list[Update] = []
        self._news = asyncio.Event()
        self._left = False
        self._watching: asyncio.Task[None] | None = None

    def begin(self, receive: Receive) -> None:
        """
        Give the jobs to the engine, and watch for the client to leave.

        Raises:
            ApiError: too many are waiting.
        """
        for job in self._jobs:
            job.on_update = self._hear
        try:
            self._engine.submit(self._jobs)
        except BusyError as busy:
            raise ApiError(
                str(busy), status=429, code="too_many_waiting", headers={"retry-after": "1"}
            ) from busy
        self._watching = asyncio.create_task(self._watch(receive))

    async def updates(self) -> AsyncIterator[list[Update]]:
        """
        What there is to know, as it comes.

        Raises:
            _ClientLeftError: the client has left.
            Exception: what ended a job.
        """
        while self._open:
            await self._news.wait()
            self._news.clear()
            if self._left:
                raise _ClientLeftError
            heard, self._heard = self._heard, []
            for update in heard:
                if update.error is not None:
                    raise update.error
                self._open -= update.stopped_by is not None
            if heard:
                yield heard

    def end(self) -> None:
        """Whatever is still under way is given up."""
        self._engine.cancel(self._jobs)
        if self._watching is not None:
            self._watching.cancel()

    def _hear(self, update: Update) -> None:
        self._heard.append(update)
        self._news.set()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._news.set()


class _EventStream(Response):
    """Server-sent events; whatever happens, `end` is called at the end."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], end: Callable[[], None]) -> None:
        super().__init__(headers={"cache-control": "no-cache"})
        del self.headers["content-length"]
        self._events, self._end = events, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        try:
            await send(start)
            async for piece in self._events:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._end()


def _pass_on(updates: Sequence[Update]) -> None:
    for update in updates:
        update.job.on_update(update)


async def _json(answer: Callable[[], dict[str, Any]]) -> Response:
    """An answer that may be long: it is made in a thread, while others are answered."""
    return await asyncio.to_thread(lambda: JSONResponse(answer()))


async def _body(request: Request) -> Any:
    """
    The body of a request, as JSON.

    Raises:
        ApiError: it is none, or does not come to its end.
    """
    parts: list[bytes] = []
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout(PATIENCE):
                parts.append(await anext(stream))
    except StopAsyncIteration:
        pass
    except ClientDisconnect as left:
        raise ApiError("the client left", status=CLIENT_LEFT) from left
    except TimeoutError as late:
        raise ApiError(
            f"the rest of the body did not come within {PATIENCE:g} seconds; send as many bytes as its "
            "Content-Length says",
            status=408,
            headers={"connection": "close"},
        ) from late
    try:
        return json.loads(b"".join(parts))
    except (ValueError, RecursionError) as error:
        raise ApiError(f"the body is not JSON: {error}") from error


async def _http_error(_request: Request, error: Exception) -> Response:
    """An address that does not exist, or a method that it does not have."""
    assert isinstance(error, HTTPException)
    what = {404: "there is nothing at this address", 405: "this address does not take this method"}
    found = ApiError(
        what.get(error.status_code, error.detail), status=error.status_code, headers=error.headers
    )
    return await _api_error(_request, found)


async def _bug(request: Request, error: Exception) -> Response:
    """What nobody foresaw: the guard reports it, to whom the exception goes on."""
    return await _api_error(request, bug_error(error))


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.to_json(), status_code=error.status, headers=error.headers)
