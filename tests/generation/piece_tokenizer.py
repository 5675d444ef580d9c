"""A tokenizer whose tokens are any texts one likes, so that stops and line ends can fall inside of them."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lmgen.arrays import IdArray
from lmgen.tokenizers.base import Decoder, Tokenizer


class PieceDecoder(Decoder):
    """Joins pieces; holds a final ~ back until it is clear what follows, like half a character."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces
        self.held = ""

    def push(self, ids: Iterable[int]) -> str:
        text = self.held + "".join(self.pieces[token] for token in ids)
        certain = text.rstrip("~")
        self.held = text[len(certain) :]
        return certain

    def finish(self) -> str:
        text, self.held = self.held, ""
        return text


class PieceTokenizer(Tokenizer):
    """Cuts a text into the longest pieces that fit; what fits none is unknown, one character at a time."""

    name = "piece"

    def __init__(self, *pieces: str, unknown: int | None = None, line_end: int | None = None) -> None:
        self.pieces = list(pieces)
        self.vocabulary_size = len(pieces)
        self.unknown = unknown
        self.line_end = line_end

    @property
    def start(self) -> int:
        return 0

    def encode_with_offsets(self, text: str) -> tuple[IdArray, IdArray]:
        ids, offsets, position = [], [], 0
        while position < len(text):
            fitting = [piece for piece in self.pieces if text.startswith(piece, position)]
            offsets.append(position)
            if fitting:
                longest = max(fitting, key=len)
                ids.append(self.pieces.index(longest))
                position += len(longest)
            else:
                assert self.unknown is not None
                ids.append(self.unknown)
                position += 1
        return np.array(ids, np.uint16), np.array(offsets, np.int64)

    def piece(self, token: int) -> str:
        return self.pieces[token]

    def decoder(self) -> PieceDecoder:
        return PieceDecoder(self.pieces)

    def to_json(self) -> dict[str, Any]:
        return {"pieces": self.pieces}
