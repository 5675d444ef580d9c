"""
Guess what a file is that cannot be read as text, and say what to do with it, for error messages.
"""

import codecs
import re
import unicodedata

SAMPLE_BYTES = 1 << 15
"""Bytes of words with characters beyond ASCII that an encoding is guessed from."""

_PACKED = "it looks like {}: pipe it through {}, or give it a name that ends in {}"
_IMAGE = "it looks like an image, which holds no text"
_SOUND = "it looks like sound or video, which holds no text"
_PROGRAM = "it looks like a program, which is no text"

_PDF = "it looks like PDF: convert it with pdftotext FILE -"
_RTF = "it looks like RTF: convert it with pandoc -f rtf -t plain FILE"
_OLD_OFFICE = (
    "it looks like a file of an old Word or Excel: convert it with libreoffice --headless --convert-to txt "
    "FILE (csv for a table)"
)
_PANDOC = "convert it with pandoc -t plain FILE"
_TABLE = "save the table as .csv, or its column of text as .txt"

CONVERTED = {
    ".pdf": _PDF,
    ".rtf": _RTF,
    ".odt": _PANDOC,
    ".epub": _PANDOC,
    ".doc": _OLD_OFFICE,
    ".xls": _OLD_OFFICE,
    ".xlsx": _TABLE,
    ".ods": _TABLE,
    ".parquet": _TABLE,
}
"""What to do with files of other formats, by the end of their names."""

_FORMATS = {
    b"%PDF-": _PDF,
    b"{\\rtf": _RTF,
    b"\x1f\x8b": _PACKED.format("gzip", "zcat", ".gz"),
    b"BZh": _PACKED.format("bzip2", "bzcat", ".bz2"),
    b"\xfd7zXZ": _PACKED.format("xz", "xzcat", ".xz"),
    b"\x28\xb5\x2f\xfd": _PACKED.format("zstd", "zstdcat", ".zst"),
    b"PK\x03\x04": "it looks like a zip archive: give it a name that ends in .zip, or .docx for Word's",
    b"7z\xbc\xaf\x27\x1c": "it looks like a 7z archive: unpack it with 7z x FILE and name the folder",
    b"Rar!": "it looks like a rar archive: unpack it with unrar x FILE and name the folder",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": _OLD_OFFICE,
    b"PAR1": "it looks like Parquet: write its text column to a .jsonl or .csv file",
    b"SQLite format 3\0": "it looks like an SQLite database: write its text with sqlite3 -csv to a .csv file",
    b"\x89PNG": _IMAGE,
    b"\xff\xd8\xff": _IMAGE,
    b"GIF8": _IMAGE,
    b"II*\0": _IMAGE,
    b"MM\0*": _IMAGE,
    b"RIFF": _SOUND,
    b"OggS": _SOUND,
    b"fLaC": _SOUND,
    b"ID3": _SOUND,
    b"\xff\xfb": _SOUND,
    b"\x7fELF": _PROGRAM,
    b"MZ": _PROGRAM,
    b"\xca\xfe\xba\xbe": _PROGRAM,
    b"\xcf\xfa\xed\xfe": _PROGRAM,
    b"\0asm": _PROGRAM,
    b"\x93NUMPY": "it looks like an array of NumPy, which is no text",
    b"\x80\x04\x95": "it looks like a pickle of Python, which is no text",
}
"""What to say of a file, by its first bytes."""

REFUSED = (b"%PDF-", b"{\\rtf")
"""First bytes of formats that may consist of characters alone, but are not the text that is in them."""

_TAR_MARK = (257, b"ustar")
"""Offset and value of what marks a tar archive."""

_BINARY = "it looks like a binary file; a model of bytes (lmgen train --tokenizer byte) takes any"

_NULS = (
    "it has NULs in it: remove them (tr -d '\\0'), or train on bytes instead of characters: --tokenizer byte"
)

_DAMAGED = "the rest of it is UTF-8: remove what is not with iconv -c -f UTF-8 -t UTF-8"

_NO_GUESS = (
    "name its encoding (--encoding), convert it to UTF-8 (iconv), or train on bytes instead of characters: "
    "--tokenizer byte"
)

_COMMON = (
    *("cp1252", "cp1250", "cp1254", "cp1257", "cp1258", "iso8859-2", "mac-roman", "cp850"),
    *("cp1251", "koi8-r", "koi8-u", "cp866", "iso8859-5", "mac-cyrillic"),
    *("cp1253", "iso8859-7", "cp1255", "iso8859-8", "cp1256", "iso8859-6", "cp874"),
    *("gb18030", "big5", "big5hkscs", "cp932", "shift_jis", "euc_jp", "cp949", "euc_kr"),
    *("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"),
)
"""The encodings that are guessed, by Python's names. Others of the same scripts are hardly ever met."""

_ICONV_NAMES = {
    "utf-16-le": "UTF-16LE",
    "utf-16-be": "UTF-16BE",
    "utf-32-le": "UTF-32LE",
    "utf-32-be": "UTF-32BE",
    "mac-roman": "MACINTOSH",
}
"""Those that differ by more than capitals and hyphens."""

_NEARLY = 0.85
"""
Confidence, relative to the best guess, at which cp1252 is preferred, the most common of its kind, unless more
signs touch letters in it.
"""

_UNSURE = 0.05
"""Confidence of the best guess, which a few words give, below which `_NEARLY` is `_NEARLY_IF_UNSURE`."""

_NEARLY_IF_UNSURE = 0.6

_SURELY = 4
"""How many times as likely another encoding is when a text is called misread."""

_PLAUSIBLE = 0.05
"""The least confidence of that other encoding."""

_FEWEST_WORDS = 5
"""Different words beyond ASCII below which no text is called misread."""

_WIDE = {"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"}

_SIGN = "[¢-©¬®-±´-¶¸×÷†‡ƒˆ˜‰™]"
_TOUCHING = re.compile(rf"[^\W\d]{_SIGN}|{_SIGN}[^\W\d]|(?<=[a-zß-öø-ÿ])[À-ÖØ-ÞŠŒŽŸ]")
"""A sign that touches a letter, or a capital after a small letter."""

_OTHER_SCRIPTS = {"GREEK", "CYRILLIC", "HEBREW", "ARABIC", "THAI"}


def advice(head: bytes, sample: bytes, encoding: str = "utf-8") -> str:
    """
    What a file that could not be decoded looks like, and what to do.

    Args:
        head: its first bytes, 512 if it has as many.
        sample: bytes from around the place that could not be decoded, from an offset that is a multiple of 4.
        encoding: the encoding that it was decoded in.
    """
    known = format_advice(head)
    if known and (not head[:4].isascii() or _is_binary(sample)):  # a text may begin with "MZ" as well
        return known
    wide = _wide_encoding(sample) or (_wide_encoding_of_ideographs(sample) if _is_binary(sample) else None)
    if wide is None and _is_binary(sample):
        return _BINARY
    if wide is None and encoding != "utf-8" and _share_of_utf8(sample) == 1:
        return "it is UTF-8: give --encoding utf-8"
    if wide is None and encoding == "utf-8" and _share_of_utf8(sample) > 0.7:
        return _NULS if b"\0" in sample else _DAMAGED
    guess = wide or likely_encoding(sample)
    if guess is None or guess == encoding:
        return _NO_GUESS
    iconv = iconv_name(guess)
    mark = ", without a byte order mark" if wide else ""
    return (
        f"it looks like {iconv}{mark}: give --encoding {guess.replace('_', '-')}, or convert it with "
        f"iconv -f {iconv} -t UTF-8"
    )


def iconv_name(encoding: str) -> str:
    """What the command iconv calls an encoding of Python."""
    return _ICONV_NAMES.get(encoding) or encoding.upper().replace("_", "-")


def format_advice(head: bytes) -> str | None:
    """What a file is by its first bytes, and what to do; None for no known format."""
    offset, mark = _TAR_MARK
    if head[offset:].startswith(mark):
        return "it looks like a tar archive: give it a name that ends in .tar"
    return next((words for start, words in _FORMATS.items() if head.startswith(start)), None)


def likely_encoding(sample: bytes) -> str | None:
    """
    Guess the encoding of a text that is not UTF-8.

    Words of ASCII say nothing about it and only mislead the detector, so it gets the others, each once.

    Returns:
        One of `_COMMON`; None if the text fits none of them.
    """
    words = _telling_words(sample)
    beyond = len(words) - len(words.translate(None, bytes(range(0x80, 0x100))))
    if _fits(words, "cp1252") and (beyond == 1 or _has_typographic_signs_alone(words)):
        return "cp1252"
    guesses = {name: sure for name, sure in _detected(words).items() if name in _COMMON}
    best = max(guesses, key=lambda name: guesses[name], default=None)
    if best is None:
        return None
    nearly = _NEARLY if guesses[best] > _UNSURE else _NEARLY_IF_UNSURE
    if guesses.get("cp1252", 0) < nearly * guesses[best]:
        return best
    return "cp1252" if _touching_signs(words, "cp1252") <= _touching_signs(words, best) else best


def misread_as(text: str, encoding: str) -> str | None:
    """
    The encoding that a text is in which was decoded in another one; None if it was decoded rightly.

    Args:
        text: the text, or its beginning, as it was decoded.
        encoding: in this encoding. UTF-8 is never wrong where it can be decoded.
    """
    if encoding == "utf-8" or text.isascii():
        return None
    try:
        content = text.encode(encoding)
    except UnicodeError:  # it had a byte order mark and was decoded accordingly, for example
        return None
    if _is_utf8(content):
        return None if _is_binary(content) else "utf-8"
    own = _python_name(encoding)
    if own in _WIDE and own in (_wide_encoding(content), _wide_encoding_of_ideographs(content)):
        return None
    words = _telling_words(content)
    guess = likely_encoding(content)
    if guess in (None, own) or len(words.split()) < _FEWEST_WORDS:
        return None
    detected = _detected(words, fitting=False)
    if own not in detected and own not in _WIDE:
        return None  # the detector does not know it
    fitting = _detected(words)
    sure = fitting[guess]
    return guess if sure >= _PLAUSIBLE and sure > _SURELY * fitting.get(own, 0) else None


def _is_utf8(content: bytes) -> bool:
    """Whether bytes are UTF-8, of which the last character may be cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return False
    return True


def _detected(words: bytes, *, fitting: bool = True) -> dict[str, float]:
    """How likely the detector finds each encoding; those alone that fit, unless `fitting` is False."""
    import chardet

    found: dict[str, float] = {}
    for guess in chardet.detect_all(words, ignore_threshold=True):
        name = _python_name(guess["encoding"])
        if name is not None and (not fitting or _fits(words, name)):
            found.setdefault(name, guess["confidence"])
    return found


def _touching_signs(words: bytes, encoding: str) -> int:
    """How many signs such as § and ‡ touch a letter, as letters that are decoded wrongly do."""
    return len(_TOUCHING.findall(words.decode(encoding, "replace")))


def _has_typographic_signs_alone(words: bytes) -> bool:
    """Whether in cp1252 all that is beyond ASCII are quotes, dashes and the like, among many letters."""
    if _touching_signs(words, "cp1252"):
        return False
    text = words.decode("cp1252", "replace")
    beyond = [character for character in text if not character.isascii()]
    letters = sum(character.isalpha() for character in text)
    return letters > 2 * len(beyond) and not any(
        character.isalpha() or character == "\ufffd" for character in beyond
    )


def _telling_words(sample: bytes) -> bytes:
    """The different words of a sample with bytes beyond ASCII, each after the word before it."""
    words = sample.split()
    telling = dict.fromkeys(
        pair
        for place, word in enumerate(words)
        if not word.isascii()
        for pair in words[max(place - 1, 0) : place + 1]
    )
    return b" ".join(telling)[:SAMPLE_BYTES]


def _python_name(encoding: str | None) -> str | None:
    """Python's name of an encoding that the detector names; of the subsets of cp1252 that of cp1252."""
    if encoding is None:
        return None
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        return None
    return "cp1252" if name in {"iso8859-1", "iso8859-15", "ascii"} else name


def _fits(words: bytes, encoding: str) -> bool:
    """Whether bytes can be decoded, and no word mixes Latin letters with those of another alphabet."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(words)
    except UnicodeError:
        return False
    return not any(_mixes_alphabets(word) for word in re.findall(r"\w+", text))


def _mixes_alphabets(word: str) -> bool:
    scripts = {unicodedata.name(letter, "?").partition(" ")[0] for letter in word if letter.isalpha()}
    return "LATIN" in scripts and bool(scripts & _OTHER_SCRIPTS)


def _wide_encoding(sample: bytes) -> str | None:
    """
    UTF-16 or UTF-32, little- or big-endian, by where small bytes stand; None for neither.

    In texts of alphabets the upper byte of a character is small, and that of a text in UTF-8 hardly ever.
    """
    units = sample[: len(sample) // 4 * 4] or sample[: len(sample) // 2 * 2]
    low = [_share(units[offset::4], range(9)) for offset in range(4)]
    if low[3] > 0.99 and low[2] > 0.9:
        return "utf-32-le"
    if low[0] > 0.99 and low[1] > 0.9:
        return "utf-32-be"
    even, odd = _share(units[::2], range(9)), _share(units[1::2], range(9))
    if b"\0" in units and max(even, odd) > 0.5 and min(even, odd) < 0.25:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def _wide_encoding_of_ideographs(sample: bytes) -> str | None:
    """UTF-16 or UTF-32 as the detector sees it, which knows Chinese, Japanese and Korean characters."""
    import chardet

    name = _python_name(chardet.detect(sample)["encoding"])
    return name if name in _WIDE else None


def _is_binary(sample: bytes) -> bool:
    """Whether many of its bytes are control characters, which stand in no text."""
    return _share(sample, [*range(9), *range(14, 27), *range(28, 32), 127]) > 0.05


def _share(sample: bytes, values: "range | list[int]") -> float:
    """The share of bytes that have one of some values."""
    return 1 - len(sample.translate(None, bytes(values))) / len(sample) if sample else 0.0


def _share_of_utf8(sample: bytes) -> float:
    """Of the characters beyond ASCII the share that is valid UTF-8; 1 if there are none."""
    text = sample.lstrip(bytes(range(0x80, 0xC0))).decode("utf-8", "replace")
    beyond = len(text) - sum(map(str.isascii, text))
    return 1 - text.count("\ufffd") / beyond if beyond else 1.0
