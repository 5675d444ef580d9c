"""
Complete prompts that come at any time, side by side: a prompt joins the others as soon as there is room.

    waiting ──► reading ──► writing ──► done
                scoring ──►

Every round reads a few tokens of all prompts that are being read, then draws one token of every completion.
Completions join and leave between two rounds, so no one waits for the longest. The text of a completion is
the same whoever is beside it: streams are computed in tiles of a fixed width (models/network/tiles.py), and
each has its own random generator. It is the one that `TextModel.complete` gives where it completes several.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite, log
from typing import Generic, TypeVar, cast

import numpy as np

from lmgen.arrays import BoolArray, FloatArray, IdArray
from lmgen.errors import LmgenError, NumericalError
from lmgen.generation.completion import Continuation
from lmgen.generation.drawing import DIRECT_WEIGHTS, Drawing, generator
from lmgen.generation.filters import NO_TOKEN, NOTHING_TO_DRAW, without
from lmgen.generation.next import after_ways
from lmgen.generation.sampler import STREAMS
from lmgen.generation.ways import NO_PROBABILITIES
from lmgen.models.base import LanguageModel, SharedModel, State
from lmgen.serving.jobs import Job, ScoredToken, Update
from lmgen.tokenizers.base import Tokenizer

READ_STEPS = 64
"""Tokens of each prompt that are read in a round: few enough that a client who leaves is soon noticed."""

READ_STEPS_BESIDE = 8
"""The same while completions are being written, which wait meanwhile."""

WAITING = 256
"""Completions that may wait for room."""

LOG_10 = log(10)


class BusyError(LmgenError):
    """As many completions are waiting as may."""


class Engine:
    """
    One model with all completions that it is writing.

    `run` is for a thread of its own; `submit`, `cancel` and `close` may be called from any thread.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        deliver: Callable[[Sequence[Update]], None],
        *,
        streams: int = STREAMS,
        waiting: int = WAITING,
    ) -> None:
        """
        Args:
            model: any of a file; it reads several texts side by side.
            tokenizer: its own.
            deliver: called from the thread of `run` after each round in which there was news.
            streams: the most completions that are written side by side.
            waiting: the most that may wait for one of them to end.
        """
        self.model = cast(SharedModel, model)
        self.tokenizer = tokenizer
        self._deliver = deliver
        self._streams, self._most = streams, streams + waiting
        self._reading = _Streams[_Reader](self.model)
        self._scoring = _Streams[_Reader](self.model)
        self._writing = _Streams[_Writer](self.model)
        self._taken: set[Job] = set()
        """Jobs from the inbox that had not ended when the round began, or were taken in it."""
        self._news: list[Update] = []
        self._pieces: dict[int, str] = {}
        """Spellings of tokens, as far as they were needed."""
        self._changed = threading.Condition()
        self._inbox: deque[Job] = deque()
        self._load = 0
        """Completions that wait, or are read for or written."""
        self._closed = False

    @property
    def load(self) -> int:
        """How many completions wait or are under way."""
        return self._load

    def submit(self, jobs: Sequence[Job]) -> None:
        """
        Take all of some jobs.

        Raises:
            BusyError: too many completions are waiting.
        """
        more = sum(job.num for job in jobs)
        with self._changed:
            if self._load + more > self._most:
                raise BusyError(
                    f"{self._load} completions are under way or waiting, and at most {self._most} may be; "
                    "try again later, or ask for fewer at once"
                )
            self._load += more
            self._inbox.extend(jobs)
            self._changed.notify()

    def cancel(self, jobs: Iterable[Job]) -> None:
        """Forget some jobs; there may be one more update of each."""
        with self._changed:
            for job in jobs:
                job.cancelled = True
            self._changed.notify()

    def close(self) -> None:
        """End `run` after its round; what is under way is given up."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self) -> None:
        """Go from round to round, waiting while there is nothing to do, until `close`."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._load > 0)
                if self._closed:
                    return
            self.round()

    def round(self) -> None:
        """Read some tokens of each prompt, draw one of each completion, and deliver the news."""
        try:
            self._drop_cancelled()
            self._admit()
            steps = READ_STEPS_BESIDE if self._writing.members else READ_STEPS
            self._read(self._reading, steps)
            self._score(self._scoring, steps)
            self._write()
        except Exception as error:
            self._give_up(error)
        self._taken = self._jobs_inside()
        with self._changed:
            self._load = self._under_way + sum(job.num for job in self._inbox)
        if news := self._news:
            self._news = []
            self._deliver(news)

    def _drop_cancelled(self) -> None:
        with self._changed:
            if any(job.cancelled for job in self._inbox):
                self._inbox = deque(job for job in self._inbox if not job.cancelled)
        for readers in (self._reading, self._scoring):
            readers.drop(readers.rows_where(lambda reader: reader.job.cancelled))
        self._writing.drop(self._writing.rows_where(lambda writer: writer.job.cancelled))

    def _admit(self) -> None:
        """Begin to read the prompts that there is room for, in the order in which they came."""
        while job := self._next_job():
            readers = self._scoring if job.scores_prompt else self._reading
            readers.add(self.model.select(self._start, [0]), [_Reader.of(job)])
            self._begin_where_read(readers)

    def _next_job(self) -> Job | None:
        """The one that waits longest, if there is room for all of its completions."""
        with self._changed:
            if self._inbox and self._under_way + self._inbox[0].num <= self._streams:
                job = self._inbox.popleft()
                self._taken.add(job)
                return job
        return None

    @property
    def _under_way(self) -> int:
        """Completions whose prompts are read, or that are written."""
        prompts = (*self._reading.members, *self._scoring.members)
        return sum(reader.job.num for reader in prompts) + len(self._writing.members)

    @cached_property
    def _start(self) -> State:
        """The state before a text, rounded as that of one stream among others."""
        return self.model.start(2)

    def _read(self, readers: "_Streams[_Reader]", most: int) -> None:
        """Read up to `most` tokens of each prompt."""
        if readers.members:
            readers.state = self.model.advance(readers.state, _next_block(readers.members, most))
            self._begin_where_read(readers)

    def _score(self, readers: "_Streams[_Reader]", most: int) -> None:
        """Read and score up to `most` tokens of each prompt."""
        if not readers.members:
            return
        for ids in _next_block(readers.members, most):
            predicted = self.model.predict(readers.state)
            for reader, token, row in zip(readers.members, ids.tolist(), predicted, strict=True):
                if not isfinite(row.max()):
                    self._fail(reader.job, NumericalError(NO_PROBABILITIES))
                reader.tokens.append(
                    self._scored(token, row, reader.job, reader.job.offsets[len(reader.tokens)])
                )
            readers.state = self.model.advance(readers.state, ids[None])
        self._begin_where_read(readers)

    def _scored(self, token: int, log_probabilities: FloatArray, job: Job, offset: int) -> ScoredToken:
        listed = _likeliest(log_probabilities, job.likeliest or 0)
        return ScoredToken(
            self._piece(token),
            offset,
            float(log_probabilities[token]),
            tuple((self._piece(other), float(log_probabilities[other])) for other in listed),
        )

    def _piece(self, token: int) -> str:
        if token not in self._pieces:
            self._pieces[token] = self.tokenizer.piece(token)
        return self._pieces[token]

    def _begin_where_read(self, readers: "_Streams[_Reader]") -> None:
        """Note the state at the edges of prompts; begin the completions of those that are read."""
        for row, reader in enumerate(readers.members):
            if reader.edge is None and reader.position == reader.certain:
                reader.edge = self.model.select(readers.state, [row])
        done = readers.rows_where(lambda reader: reader.position == len(reader.ids))
        if done:
            finished = [readers.members[row] for row in done if not readers.members[row].job.cancelled]
            readers.drop(done)
            for reader in finished:
                if reader.job.scores_prompt:
                    self._news.append(Update(job=reader.job, tokens=reader.tokens))
                try:
                    self._begin(reader.job, reader.edge)
                except Exception as error:
                    self._fail(reader.job, error)

    def _begin(self, job: Job, state: State) -> None:
        """Begin the completions of a prompt, from the state at its edge."""
        if not job.length:
            self._news += [Update(job=job, number=number, stopped_by="length") for number in range(job.num)]
            return
        writers = [_Writer.of(job, number, self.tokenizer) for number in range(job.num)]
        if job.prompt.edge.rest is not None:
            self._go_on(writers, job, state)
        going_on = [writer for writer in writers if writer.continuation.stopped_by is None]
        for writer in writers:
            self._tell(writer)
        if going_on:
            self._writing.add(self.model.select(state, [0] * len(going_on)), going_on)

    def _go_on(self, writers: "Sequence[_Writer]", job: Job, state: State) -> None:
        """Choose for each completion how the end of the prompt is spelled, given that more follows."""
        ways = job.prompt.ways_after(self.model, state, 0)
        listed: tuple[tuple[str, float], ...] = ()
        if job.likeliest:
            found = after_ways(self.model, self.tokenizer, state, ways)[: job.likeliest]
            listed = tuple((each.token, each.log10 * LOG_10) for each in found)
        for writer in writers:
            way = writer.drawing.choose(ways, writer.continuation)
            writer.continuation.go(ways, way)
            if job.likeliest is None:
                continue
            share = float(ways.log_shares[way])
            token = int(ways.beyond[way])
            if token == NO_TOKEN:
                writer.of_way, writer.listed = share, listed
                continue
            piece = ways.text_beyond(way) if ways.rest.spelling else self._piece(token)
            writer.tokens.append(ScoredToken(piece, 0, share, listed))

    def _write(self) -> None:
        """Draw a token of each completion, or read one that is chosen already."""
        writing = self._writing
        if not writing.members:
            return
        ids = np.zeros(len(writing.members), np.intp)
        drawing = []
        for row, writer in enumerate(writing.members):
            if len(writer.continuation.unread):
                ids[row] = writer.continuation.read(1)[0]
            else:
                drawing.append(row)
        if drawing:
            self._draw(drawing, ids)
        for writer in writing.members:
            self._tell(writer)
        if done := writing.rows_where(lambda writer: writer.is_done):
            writing.drop(done)
            ids = np.delete(ids, done)
        if writing.members:
            writing.state = self.model.advance(writing.state, ids[None])

    def _draw(self, rows: list[int], ids: IdArray) -> None:
        """Draw a token for the completions of some rows, and put it in `ids`."""
        writers = self._writing.members
        predicted = self.model.predict(self._writing.state)  # (B, V)
        usable = _usable(predicted, self.tokenizer.unknown)
        groups: dict[object, list[int]] = {}
        for row in rows:
            drawing = writers[row].drawing
            if not usable[row]:
                self._fail(writers[row].job, NumericalError(NOTHING_TO_DRAW))
            elif drawing.plain or predicted.shape[1] <= DIRECT_WEIGHTS:
                groups.setdefault(drawing, []).append(row)
            else:  # how many weights the filters leave of others may change the rounding
                groups[row] = [row]
        for group in groups.values():
            streams = [writers[row].continuation for row in group]
            offsets = [
                0 if writers[row].job.likeliest is None else writers[row].continuation.characters()
                for row in group
            ]
            log_probabilities = predicted if len(group) == len(predicted) else predicted[group]
            ids[group] = writers[group[0]].drawing.extend(log_probabilities, streams)
            for row, offset in zip(group, offsets, strict=True):
                if writers[row].job.likeliest is not None:
                    self._note(writers[row], int(ids[row]), predicted[row], offset)

    def _note(self, writer: "_Writer", token: int, log_probabilities: FloatArray, offset: int) -> None:
        """Keep the score of a token that was drawn."""
        scored = self._scored(token, log_probabilities, writer.job, offset)
        if writer.of_way is not None:  # the first token after a prompt that might have gone on within a token
            total = writer.of_way + scored.log_probability
            scored = ScoredToken(scored.token, offset, total, writer.listed)
            writer.of_way = None
        writer.tokens.append(scored)

    def _tell(self, writer: "_Writer") -> None:
        """Add what is new of a completion to the news."""
        continuation, job = writer.continuation, writer.job
        if job.cancelled or (continuation.stopped_by is None and not job.streams):
            return
        text = continuation.release()
        if text or writer.tokens or continuation.stopped_by is not None:
            self._news.append(
                Update(
                    job=job,
                    number=writer.number,
                    text=text,
                    tokens=writer.tokens,
                    drawn=continuation.drawn,
                    stopped_by=continuation.stopped_by,
                )
            )
            writer.tokens = []

    def _fail(self, job: Job, error: Exception) -> None:
        """End a job with an error; what is left of it is dropped."""
        if not job.cancelled:
            job.cancelled = True
            self._news.append(Update(job=job, error=error))

    def _give_up(self, error: Exception) -> None:
        """End all that is under way, and what the error left nowhere; it is no single job's."""
        ended = {update.job for update in self._news if update.stopped_by is not None} - self._jobs_inside()
        for job in self._taken - ended:
            self._fail(job, error)
        for each in (self._reading, self._scoring, self._writing):
            each.clear()

    def _jobs_inside(self) -> set[Job]:
        """Those whose prompts are read, or whose completions are written."""
        return {
            member.job for each in (self._reading, self._scoring, self._writing) for member in each.members
        }


@dataclass(slots=True, eq=False)
class _Reader:
    """A prompt that is being read."""

    job: Job
    ids: IdArray
    """The tokens to read: all, if they are scored; else those up to the edge of the prompt."""
    certain: int
    """How many of them come before the edge."""
    position: int = 0
    """How many are read."""
    tokens: list[ScoredToken] = field(default_factory=list)
    edge: State = None
    """The state of this one stream at the edge, once that is reached."""

    @classmethod
    def of(cls, job: Job) -> "_Reader":
        rest = job.prompt.edge.rest
        if not job.scores_prompt:
            return cls(job, job.prompt.edge.ids, len(job.prompt.edge.ids))
        return cls(job, job.ids, len(job.ids) - (0 if rest is None else len(rest.ids)))

    @property
    def ahead(self) -> int:
        """How many tokens follow before the edge; from there on, before the end."""
        return (self.certain if self.position < self.certain else len(self.ids)) - self.position

    def read(self, count: int) -> IdArray:
        """Take the next tokens."""
        self.position += count
        return self.ids[self.position - count : self.position]


@dataclass(slots=True, eq=False)
class _Writer:
    """A completion that is being written."""

    job: Job
    number: int
    continuation: Continuation
    drawing: Drawing
    tokens: list[ScoredToken] = field(default_factory=list)
    """Scored since the last update."""
    of_way: float | None = None
    """Until the first token is drawn, the log-probability of how the end of the prompt is spelled."""
    listed: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens after the prompt, however its end is spelled."""

    @classmethod
    def of(cls, job: Job, number: int, tokenizer: Tokenizer) -> "_Writer":
        place = job.first + number
        continuation = Continuation(
            job.prompt,
            tokenizer,
            length=job.length,
            stop=job.stop,
            lines=False,
            random=generator(job.seed, place),
            random_way=generator(job.seed, place, 1),
        )
        continuation.read(len(job.prompt.edge.ids))
        return cls(job, number, continuation, Drawing.of(job.config, tokenizer))

    @property
    def is_done(self) -> bool:
        return self.job.cancelled or self.continuation.stopped_by is not None


Member = TypeVar("Member", _Reader, _Writer)


class _Streams(Generic[Member]):
    """Streams that a model reads side by side, and what each of them is for."""

    def __init__(self, model: SharedModel) -> None:
        self._model = model
        self.members: list[Member] = []
        self.state: State = None
        """The model's state of all of them; None if there are none."""

    def add(self, state: State, members: list[Member]) -> None:
        """Put streams after the others."""
        self.state = self._model.join([self.state, state]) if self.members else state
        self.members = self.members + members

    def rows_where(self, is_so: Callable[[Member], bool]) -> list[int]:
        """The rows of the members for which something holds."""
        return [row for row, member in enumerate(self.members) if is_so(member)]

    def drop(self, rows: Sequence[int]) -> None:
        """Forget the streams of some rows."""
        if not rows:
            return
        gone = set(rows)
        kept = [row for row in range(len(self.members)) if row not in gone]
        self.members = [self.members[row] for row in kept]
        self.state = self._model.select(self.state, kept) if kept else None

    def clear(self) -> None:
        """Forget all streams."""
        self.members, self.state = [], None


def _next_block(readers: Sequence[_Reader], most: int) -> IdArray:
    """The next tokens of all prompts, (T, B), T up to `most` and no further than the first edge or end."""
    steps = min(most, *(reader.ahead for reader in readers))
    return np.stack([reader.read(steps) for reader in readers], axis=1)


def _likeliest(log_probabilities: FloatArray, count: int) -> list[int]:
    """The ids of the largest of V log-probabilities, largest first; of equals the lower id first."""
    if not count:
        return []
    if count < len(log_probabilities):
        least = np.partition(log_probabilities, -count)[-count]
        ids = np.flatnonzero(log_probabilities >= least)
    else:
        ids = np.arange(len(log_probabilities))
    order = np.argsort(-log_probabilities[ids], kind="stable")[:count]
    return ids[order].tolist()  # type: ignore[no-any-return]


def _usable(log_probabilities: FloatArray, unknown: int | None) -> BoolArray:
    """Which rows of log-probabilities, (B, V), have a known token that may be drawn, and no NaN."""
    usable: BoolArray = np.isfinite(without(log_probabilities, unknown).max(axis=1))
    return usable
