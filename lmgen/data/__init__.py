"""
A corpus to training windows, by way of token ids on disk.

- config.py: the settings of what is held out
- splitting.py: a corpus cut into training, validation and test text
- token_file.py: ids in a memory-mapped file
- preparation.py: both together: a corpus to the token files of a run
- batches.py: what training reads; windows.py: a text cut into batches
- run_folder.py: where the files of a run are, and which run is the newest
- named_corpora.py: corpora by name, to be printed, fetched and made
"""
