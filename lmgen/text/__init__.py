"""
Where text comes from.

- counts.py: characters, bytes, words and lines of a text
- raw.py: the bytes of files, whether or not they are compressed, of members of archives, of pipes
- json_lines.py: the text inside the records of a .jsonl file
- sources.py: files, folders and standard input as a `Text`; a `Text` cut, joined, regrouped
- synthetic.py: texts made by program, whose best possible score is known
- built_in.py: texts that every Python carries
- recipes.py: what is known of a corpus in the field: where from, licence, checksums, split
- download.py: a file from the web, whole and checked
- corpus_files.py: the files of such a corpus, found or downloaded, and checked
- corpora.py: all of these by name
"""
