"""
Text to token ids and back; from the simplest tokenizer to the most involved:

- characters.py: each character is a token
- bytes.py: each byte of the UTF-8 text is a token
- words.py: each word between white space is a token, and so is each line end
- subwords.py: tokens are pieces of words chosen by SentencePiece (BPE or unigram)
- imported.py: the same from a SentencePiece model that was made elsewhere
- registry.py: the tokenizers by name; training one, loading a saved one

base.py has the interface that they share and config.py their settings. pieces.py escapes tokens for display;
sentencepiece_model.py reads and writes SentencePiece's model format, charsmap.py checks its normalisation;
streams.py encodes and decodes long texts, parallel.py works on one in several processes.
"""
