"""The visible text of web pages and Word documents."""

import io
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmgen.errors import CorpusError
from lmgen.text import documents
from lmgen.text.documents import docx_text, html_text

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def page(html: str, size: int = 1000) -> str:
    return "".join(html_text([html[i : i + size] for i in range(0, len(html), size)], "page.html"))


def docx(body: str, head: str = "", part: str = "word/document.xml") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(part, f"{head}<w:document {WORD}><w:body>{body}</w:body></w:document>")
    return file.getvalue()


def paragraph(text: str) -> str:
    return f'<w:p><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def document(content: bytes) -> str:
    return "".join(docx_text([content], "letter.docx"))


class TestPages:
    @pytest.mark.parametrize("size", [1, 5, 10_000])
    def test_what_is_seen_comes_out_line_by_line(self, size: int) -> None:
        html = """<!DOCTYPE html>
            <html lang=en><head><meta charset="utf-8"><title>Not &amp; seen</title>
            <style>p { color: red }</style><script>if (a < b) write("<p>no</p>")</script></head>
            <body><!-- not this --><h1>The  old
            sailor</h1><p>Caf&eacute;, <b>bold</b><i>ly</i>&nbsp;&#8217;tis.<br>Rain<br/><br>Wind
            <ul><li>one<li>two</ul>
            <table><tr><th>a</th> <th>b</th></tr><tr><td>1<td>2</table>
            <pre>  x
  y</pre> end</body></html>"""

        assert page(html, size) == (
            "The old sailor\nCafé, boldly\xa0’tis.\nRain\n\nWind\none\ntwo\na\tb\n1\t2\n  x\n  y\nend\n"
        )

    @pytest.mark.parametrize(
        ("html", "text"),
        [
            ("plain", "plain\n"),
            ("<p>a<p>b", "a\nb\n"),
            ("a &lt; b < c & d", "a < b < c & d\n"),
            ("<script>never closed", ""),
            ("<p></p><div> </div>", ""),
            ("<![CDATA[x]]>", ""),
            ("<template><p>no</p><template>no</template>no</template>yes", "yes\n"),
            ("</p></div>yes", "yes\n"),
        ],
    )
    def test_pages_need_not_be_well_formed(self, html: str, text: str) -> None:
        assert page(html) in (text, "x\n" if "CDATA" in html else text)

    @given(st.text(st.sampled_from("<>/!-pbr &;a\n\"'=")), st.integers(1, 5))
    def test_any_page_is_read(self, html: str, size: int) -> None:
        text = page(html, size)

        assert not text or text.endswith("\n")

    def test_markup_that_never_ends_is_not_held_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(documents, "LONGEST_MARKUP", 5000)
        chunks = iter(["<!-- ", *["x" * 1000] * 50])

        with pytest.raises(CorpusError, match=r"^page\.html is damaged \(a tag, comment or script has"):
            list(html_text(chunks, "page.html"))
        assert len(list(chunks)) > 40


class TestWord:
    def test_paragraphs_are_lines(self) -> None:
        body = (
            paragraph("Caf\u00e9 &amp; ") + "<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr>"
            "<w:r><w:tab/><w:t>two</w:t><w:br/><w:t>x</w:t></w:r>"
            "<w:del><w:r><w:delText>no</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>no</w:t></w:r></w:moveFrom>"
            "</w:p><w:p/>"
            f"<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc><w:tc><w:p/></w:tc><w:tc>{paragraph('b')}</w:tc></w:tr>"
            f"</w:tbl>{paragraph('end')}"
        )

        assert document(docx(body)) == "Café & \n\ttwo\nx\n\na\t\tb\nend\n"

    def test_a_text_box_is_read_once(self) -> None:
        body = (
            '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
            f"<mc:Choice>{paragraph('box')}</mc:Choice><mc:Fallback>{paragraph('box')}</mc:Fallback>"
            "</mc:AlternateContent>"
        )

        assert document(docx(body)) == "box\n"

    def test_the_document_may_have_a_number(self) -> None:
        assert document(docx(paragraph("one"), part="word/document2.xml")) == "one\n"

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"no zip file", "File is not a zip file"),
            (docx(paragraph("x"))[:-30], "File is not a zip file"),
            (docx(paragraph("x"), part="xl/workbook.xml"), r"it has no word/document\.xml"),
            (docx("<w:p>"), "mismatched tag"),
            (docx("&a;", '<!DOCTYPE x [<!ENTITY a "&b;&b;"><!ENTITY b "x">]>'), "declares a document type"),
        ],
    )
    def test_what_is_no_document_is_named(self, content: bytes, why: str) -> None:
        with pytest.raises(CorpusError, match=rf"^letter\.docx is no Word document, or damaged \(.*{why}"):
            document(content)

    def test_a_decompression_bomb_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(documents, "EXPANSION_ALLOWED", 1000)
        content = docx(paragraph("x" * 10_000_000))
        begin = time.process_time()

        with pytest.raises(CorpusError, match="decompresses to more than 200 times its own size"):
            document(content)
        assert time.process_time() - begin < 5
