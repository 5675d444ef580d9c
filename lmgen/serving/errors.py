"""Errors as OpenAI's API gives them, which its clients show to their users."""

import re
from collections.abc import Mapping
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


class ApiError(Exception):
    """What is wrong with a request; `{"error": {"message": ..., "type": ..., "param": ..., "code": ...}}`."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            message: what is wrong, and what to do.
            status: of HTTP.
            param: the field of the request that is wrong.
            code: a word for programs.
            headers: of the answer.
        """
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.headers = dict(headers or {})

    def to_json(self) -> dict[str, Any]:
        """The body of the answer."""
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(
            self.status, "invalid_request_error"
        )
        if self.status >= 500:
            kind = "server_error"
        param = None if self.param is None else clean(self.param)
        return {"error": {"message": clean(str(self)), "type": kind, "param": param, "code": self.code}}


def clean(text: str) -> str:
    """A text that every client can read: U+FFFD in place of each byte that is no UTF-8."""
    return _SURROGATE.sub("\ufffd", text)
