"""
From a corpus to training batches, with token ids stored on disk in between.

- config.py: settings for the validation and test text
- splitting.py: splits a corpus into training, validation and test text
- token_file.py: token ids in a file, read a few at a time
- preparation.py: makes the token files of a run from a corpus, in these steps: source_files.py sees to it
  that no file changes meanwhile; vocabulary.py: tokenizer and labels; parts.py: token ids and held-out text,
  encoded by encoding.py in several processes; prepared.py: sizes and checksums; unfinished.py: goes on where
  all that was interrupted
- verified.py: what a run keeps of its texts, verified where it is used later
- held_out_text.py: reads the validation or test text of a run
- batches.py: the interface that training reads from; windows.py: cuts a text into batches; permutation.py: a
  random order that is not stored
- run_folder.py: paths of a run's files, and finding the newest model
- named_corpora.py: prints and downloads corpora by name; made_corpora.py: generates them
"""
