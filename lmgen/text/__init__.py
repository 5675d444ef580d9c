"""
Where text comes from.

- counts.py: count the characters, bytes, words and lines of a text
- raw.py: read bytes from plain and compressed files and pipes
- archives.py: read the files in .zip and .tar archives
- encodings.py: decode bytes to text; guessing.py: what a file is that cannot be decoded
- records.py: extract the texts of JSON Lines, JSON, CSV and TSV; documents.py: those of .html and .docx
- sources.py: open files, folders and standard input as a `Text`; cut, join and regroup texts
- given.py: texts that a Python program gives in place of files
- synthetic.py: generated texts whose best possible score is known
- built_in.py: texts that ship with Python
- recipes.py: what is known about a published corpus: address, licence, checksums, standard split
- download.py: download one file completely and verify it
- corpus_files.py: find or download the files of a corpus that has a recipe, and verify them
- corpora.py: open any of these by name
"""
