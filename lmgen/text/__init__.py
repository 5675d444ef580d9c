"""
Where text comes from.

- counts.py: count the characters, bytes, words and lines of a text
- raw.py: read bytes from plain and compressed files and pipes; progress.py: how far files have been read
- archives.py: read the files in .zip and .tar archives
- encodings.py: decode bytes to text; guessing.py: what a file is that cannot be decoded
- records.py: extract the texts of JSON Lines, JSON, CSV and TSV; documents.py: those of .html and .docx
- units.py: what one text is: a document, a line, a record
- sources.py: open files, folders and standard input as a `Text`; chunks.py: cut and regroup its chunks
- reading.py: bring a text into other line ends and normal forms; lists.py: tell a list from running text
- given.py: texts that a Python program gives in place of files
- vectors.py: read word vectors of other programs
- synthetic.py: generated texts whose best possible score is known
- best.py: the best possible score; tasks/: the same for tasks, an instance a line; generated.py: both by name
- built_in.py: texts that ship with Python
- recipes.py: what is known about a published corpus: address, licence, checksums, standard split
- download.py: download one file completely and verify it
- corpus_files.py: find or download the files of a corpus that has a recipe, and verify them
- corpora.py: open any of these by name
"""
