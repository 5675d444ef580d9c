"""
From a corpus to training batches, with token ids stored on disk in between.

- config.py: settings for the validation and test text
- splitting.py: splits a corpus into training, validation and test text
- token_file.py: token ids in a memory-mapped file
- preparation.py: splits and encodes a corpus into the token files of a run
- batches.py: the interface that training reads from; windows.py: cuts a text into batches
- run_folder.py: paths of a run's files, and finding the newest model
- named_corpora.py: prints and downloads corpora by name; made_corpora.py: generates them
"""
