"""
Extract the visible text of web pages (`.html`) and Word documents (`.docx`), block by block.

Paragraphs and the like become lines, and cells of a table are separated by tabs. What is not shown is left
out: scripts, styles, the title and comments of a page; deleted passages and notes of a document.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from xml.parsers import expat

from lmgen.errors import CorpusError
from lmgen.text.raw import EXPANSION_ALLOWED, MAX_EXPANSION, blocks, copied

LONGEST_MARKUP = 1 << 25
"""Maximum length of one tag, comment or script of a page, in characters: what is never closed is long."""

_NOT_SHOWN = {"script", "style", "title", "template", "noscript", "iframe", "object", "datalist"}

_BLOCK = re.compile(
    "address|article|aside|blockquote|body|br|caption|center|dd|details|dialog|dir|div|dl|dt|fieldset|"
    "figcaption|figure|footer|form|h[1-6]|header|hgroup|hr|html|legend|li|listing|main|menu|nav|ol|optgroup|"
    "option|p|pre|search|section|select|summary|table|tbody|textarea|tfoot|thead|tr|ul|xmp"
)
"""Elements that begin and end a line."""

_AS_TYPED = {"pre", "textarea", "listing", "xmp"}
"""Elements whose white space is kept."""

_WHITE_SPACE = re.compile(r"[ \t\n\r\f]+")


def html_text(chunks: Iterable[str], name: str) -> Iterator[str]:
    """
    Yield the visible text of a page as it is read.

    Args:
        chunks: the page, in chunks that may end anywhere.
        name: the name of the file, for error messages.

    Raises:
        CorpusError: a tag, comment or script is longer than any is.
    """
    page = _Page()
    for chunk in chunks:
        page.feed(chunk)
        if len(page.rawdata) > LONGEST_MARKUP:
            raise CorpusError(
                f"{name} is damaged (a tag, comment or script has no end); get or make it again"
            )
        if text := page.taken():
            yield text
    page.close()
    if text := page.taken() + ("" if page.at_line_start else "\n"):
        yield text


class _Page(HTMLParser):
    """Collects the visible text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.at_line_start = True
        self._text: list[str] = []
        self._hidden: str | None = None  # the element within which nothing is shown
        self._depth = 0  # of elements of that name in it
        self._typed = 0  # depth of elements whose white space is kept
        self._space = ""  # a blank or tab that is due before the next word

    def taken(self) -> str:
        """The text since the last call."""
        text = "".join(self._text)
        self._text.clear()
        return text

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - HTMLParser's
        """Note what begins."""
        if self._hidden:
            self._depth += tag == self._hidden
        elif tag in _NOT_SHOWN:
            self._hidden, self._depth = tag, 1
        elif _BLOCK.fullmatch(tag):
            self._end_line(forced=tag == "br")
            self._typed += tag in _AS_TYPED
        elif tag in ("td", "th") and not self.at_line_start:
            self._space = "\t"

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """An element without content, such as `<br/>`; browsers ignore the slash of others."""
        self.handle_starttag(tag, attrs)
        if self._hidden == tag and self._depth == 1:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Note what ends."""
        if self._hidden:
            self._depth -= tag == self._hidden
            self._hidden = self._hidden if self._depth else None
        elif _BLOCK.fullmatch(tag):
            self._end_line()
            self._typed -= tag in _AS_TYPED and self._typed > 0

    def handle_data(self, data: str) -> None:
        """Take text that is shown, with its white space as a browser shows it."""
        if self._hidden:
            return
        if self._typed:
            self._write(data)
            return
        text = _WHITE_SPACE.sub(" ", data)
        if text.startswith(" "):
            self._leave_blank()
        if words := text.strip(" "):
            self._write(words)
        if text.endswith(" "):
            self._leave_blank()

    def unknown_decl(self, data: str) -> None:
        """A section of XHTML that is taken as it is: `<![CDATA[text]]>`."""
        if data.startswith("CDATA["):
            self.handle_data(data.removeprefix("CDATA["))

    def _leave_blank(self) -> None:
        """Put a blank before the next word, unless it begins a line."""
        if not self.at_line_start:
            self._space = self._space or " "

    def _write(self, text: str) -> None:
        self._text.append(self._space + text)
        self._space = ""
        self.at_line_start = text.endswith("\n")

    def _end_line(self, *, forced: bool = False) -> None:
        """End the line, unless there is nothing on it and it is not `forced`."""
        self._space = ""
        if forced or not self.at_line_start:
            self._text.append("\n")
            self.at_line_start = True


def docx_text(content: Iterable[bytes], name: str) -> Iterator[str]:
    """
    Yield the paragraphs of a Word document, each as a line.

    Args:
        content: the file.
        name: its name, for error messages.

    Raises:
        CorpusError: it is damaged, or decompresses to far more than its own size.
    """
    try:
        with copied(content) as file, zipfile.ZipFile(file) as opened:
            size = file.seek(0, 2)
            with opened.open(_document_part(opened)) as part:
                document = _Document(max(MAX_EXPANSION * size, EXPANSION_ALLOWED))
                for block in blocks(part):
                    if text := document.read(block):
                        yield text
                if text := document.read(b"", at_end=True):
                    yield text
    except _OF_DAMAGED_FILES as error:
        raise CorpusError(
            f"{name} is no Word document, or damaged ({error}); get or make it again"
        ) from error


def _document_part(opened: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The part of the file that holds the text."""
    parts = [part for part in opened.infolist() if re.fullmatch(r"word/document\d*\.xml", part.filename)]
    if not parts:
        raise LookupError("it has no word/document.xml")
    if parts[0].compress_type == zipfile.ZIP_LZMA:
        raise ValueError("LZMA compression inside a zip file is not supported")
    return parts[0]


_OF_DAMAGED_FILES = (
    *(zipfile.BadZipFile, zlib.error, struct.error, expat.ExpatError, OSError, EOFError),
    *(LookupError, ValueError, RuntimeError),
)
"""What zipfile, expat and the functions here raise for a file that they cannot read."""

_DOCX_NOT_SHOWN = {"pPr", "rPr", "moveFrom", "Fallback"}
"""Properties, what was moved away, and copies for programs that do not know the original."""

_DOCX_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
"""Elements that stand for a character."""


class _Document:
    """
    Collects the text of WordprocessingML.

    A document type, which could declare entities that expand without end, is an error: Word writes none.
    """

    def __init__(self, limit: int) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._remaining = limit
        self._text: list[str] = []
        self._due = ""  # ends what was written, once it is known how
        self._in_text = False
        self._skipped = 0  # depth in an element that is not shown

    def read(self, block: bytes, *, at_end: bool = False) -> str:
        """Read on; returns the text that it completes."""
        self._remaining -= len(block)
        if self._remaining < 0:
            raise ValueError(f"it decompresses to more than {MAX_EXPANSION} times its own size")
        self._parser.Parse(block, at_end)
        if at_end:
            self._write("")
        text = "".join(self._text)
        self._text.clear()
        return text

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type, which Word never does")

    def _begin(self, element: str, _: dict[str, str]) -> None:
        name = element.rpartition(" ")[2]
        if self._skipped or name in _DOCX_NOT_SHOWN:
            self._skipped += 1
        elif name in _DOCX_CHARACTERS:
            self._write(_DOCX_CHARACTERS[name])
        self._in_text = name == "t"

    def _end(self, element: str) -> None:
        name = element.rpartition(" ")[2]
        self._in_text = False
        if self._skipped:
            self._skipped -= 1
        elif name == "p":
            self._write("")
            self._due = "\n"
        elif name == "tc":
            self._due = "\t"
        elif name == "tr":
            self._due = "\n"

    def _characters(self, data: str) -> None:
        if self._in_text and not self._skipped:
            self._write(data)

    def _write(self, text: str) -> None:
        self._text.append(self._due + text)
        self._due = ""
