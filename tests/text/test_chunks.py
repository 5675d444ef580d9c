import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.text.chunks import alike, cut, line_blocks

lines = st.text(st.sampled_from("abc \t\n\n\u2003é"), max_size=60)
sizes = st.integers(1, 9)


def pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def cuts_inside_lines(blocks: list[str]) -> set[int]:
    ends = [sum(map(len, blocks[:i])) for i in range(1, len(blocks))]
    text = "".join(blocks)
    return {end for end in ends if text[end - 1] != "\n"}


class TestLineBlocks:
    @given(lines, sizes, sizes)
    def test_blocks_joined_are_the_text_and_never_empty_or_too_long(
        self, text: str, size: int, limit: int
    ) -> None:
        blocks = list(line_blocks(pieces(text, size), limit))

        assert "".join(blocks) == text
        assert all(1 <= len(block) <= limit for block in blocks)

    @given(lines, sizes, sizes, sizes)
    def test_cuts_inside_lines_do_not_depend_on_the_chunks(
        self, text: str, size: int, other_size: int, limit: int
    ) -> None:
        blocks = list(line_blocks(pieces(text, size), limit))
        others = list(line_blocks(pieces(text, other_size), limit))

        assert cuts_inside_lines(blocks) == cuts_inside_lines(others)

    @given(lines, sizes)
    def test_a_line_is_cut_only_if_it_is_too_long_and_then_after_a_blank_if_it_can(
        self, text: str, limit: int
    ) -> None:
        blocks = list(line_blocks([text], limit))
        for block, following in pairwise(blocks):
            if block.endswith("\n"):
                continue
            assert "\n" not in (block + following)[:limit]
            if not block[-1].isspace():
                assert len(block) == limit
                assert not any(character.isspace() for character in block)

    def test_complete_lines_are_passed_on_without_waiting_for_more(self) -> None:
        chunks = iter(["one\ntw", "o\n", "three"])
        blocks = line_blocks(chunks)

        assert next(blocks) == "one\n"
        assert next(chunks) == "o\n"

    @pytest.mark.parametrize("word", ["x" * 400_000, "x ", "x " + "y" * 300_000])
    def test_a_long_line_takes_linear_time(self, word: str) -> None:
        text = word * (20_000_000 // len(word))
        begin = time.process_time()

        assert sum(map(len, line_blocks(pieces(text, 1 << 16)))) == len(text)
        assert time.process_time() - begin < 2


@given(lines, sizes, st.integers(0, 70), st.none() | st.integers(0, 70))
def test_a_part_is_that_of_the_whole_text_however_it_comes(
    text: str, size: int, start: int, end: int | None
) -> None:
    part = list(cut(pieces(text, size), start, end))

    assert "".join(part) == (text[start:end] if end is None or end >= start else "")
    assert all(part)


@given(lines, lines, sizes, sizes)
def test_texts_are_alike_where_they_are_the_same(one: str, other: str, size: int, other_size: int) -> None:
    assert alike(pieces(one, size), pieces(one, other_size))
    assert alike(pieces(one, size), ["", *pieces(one, other_size), ""])
    assert alike(pieces(one, size), pieces(other, other_size)) == (one == other)
