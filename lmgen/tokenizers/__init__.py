"""
Text to token ids and back, from the simplest to the most involved.

- characters.py: each character is a token
- bytes.py: each byte of the UTF-8 text is a token
- words.py: what stands between blanks is a token; lines end in a token of their own
- subwords.py: pieces of words, chosen by SentencePiece (BPE or unigram)
- registry.py: the tokenizers by name; loading a saved one

What they share is in base.py, their settings in config.py; pieces.py spells tokens so that they can be shown,
sentencepiece_model.py reads SentencePiece's own file; streams.py writes long texts as tokens, and back.
"""
