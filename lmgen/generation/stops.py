"""Stop texts: a completion ends before the first of them, and no part of it is ever shown."""

from collections.abc import Sequence


class StopWatch:
    """
    Releases a growing text up to where a stop text may begin, and ends it where one does.

    The stop text that begins first counts, and of two that begin together the shorter. So the result does not
    depend on the pieces in which the text arrives. Holds at most one piece and the longest stop text.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._held = ""
        self.found: str | None = None
        """The stop text that ended the text, once it was found; what follows it is not released."""

    @property
    def watching(self) -> bool:
        """Whether there are any stop texts."""
        return bool(self._stops)

    def push(self, text: str) -> str:
        """Append text; return what can be shown now."""
        if not self._stops:
            return text
        self._held += text
        return self._show(self._possible_begin())

    def finish(self, text: str) -> str:
        """Append the last text; return all that was held back: an incomplete stop text does not count."""
        self._held += text
        return self._show(len(self._held))

    def _show(self, limit: int) -> str:
        """Release the text up to `limit`, or up to the first stop text if that begins no later."""
        matches = [(self._held.find(stop), len(stop), stop) for stop in self._stops if stop in self._held]
        if matches and min(matches)[0] <= limit:
            limit, _, self.found = min(matches)
        shown, self._held = self._held[:limit], self._held[limit:]
        return shown

    def _possible_begin(self) -> int:
        """The first position of an incomplete stop text, which later text may complete; else the end."""
        end = len(self._held)
        for position in range(max(0, end - self._longest + 1), end):
            if any(stop.startswith(self._held[position:]) for stop in self._stops):
                return position
        return end
