"""Stop texts: a completion ends before the first of them, and no part of one is ever shown."""

from collections.abc import Sequence


class StopWatch:
    """
    Passes on a growing text, up to where a stop text may begin.

    The text ends at the stop text that begins first (the shorter of two that begin together), so the result
    does not depend on where pieces are cut. Memory is bounded by the longest stop text and one piece.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._held = ""
        self.found: str | None = None
        """The stop text that ended the text; None if there was none yet."""

    @property
    def watching(self) -> bool:
        """Whether there are any stop texts."""
        return bool(self._stops)

    def push(self, text: str) -> str:
        """Add a piece of text; return what can be shown now."""
        if not self._stops:
            return text
        self._held += text
        return self._show(self._beginning())

    def finish(self, text: str) -> str:
        """Add the last piece; return everything held back, since an incomplete stop text is none."""
        self._held += text
        return self._show(len(self._held))

    def _show(self, limit: int) -> str:
        """Release the text up to `limit`, or up to the first stop text if that comes no later."""
        whole = [(self._held.find(stop), len(stop), stop) for stop in self._stops if stop in self._held]
        if whole and min(whole)[0] <= limit:
            limit, _, self.found = min(whole)
        shown, self._held = self._held[:limit], self._held[limit:]
        return shown

    def _beginning(self) -> int:
        """The first place where a stop text may have begun that is not complete yet."""
        end = len(self._held)
        for position in range(max(0, end - self._longest + 1), end):
            if any(stop.startswith(self._held[position:]) for stop in self._stops):
                return position
        return end
