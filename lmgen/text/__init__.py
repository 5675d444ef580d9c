"""
Where text comes from.

- counts.py: count the characters, bytes, words and lines of a text
- raw.py: read bytes from plain and compressed files, archive members and pipes
- json_lines.py: extract the text from the records of a .jsonl file
- sources.py: open files, folders and standard input as a `Text`; cut, join and regroup texts
- given.py: texts that a Python program gives in place of files
- synthetic.py: generated texts whose best possible score is known
- built_in.py: texts that ship with Python
- recipes.py: what is known about a published corpus: address, licence, checksums, standard split
- download.py: download one file completely and verify it
- corpus_files.py: find or download the files of a corpus that has a recipe, and verify them
- corpora.py: open any of these by name
"""
