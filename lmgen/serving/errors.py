"""Errors as OpenAI's API gives them, which its clients show to their users."""

from collections.abc import Mapping
from typing import Any


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
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}
