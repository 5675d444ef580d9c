"""
n-gram models: the tables of probabilities, their estimation, and ARPA files.

- kneser_ney.py: estimates a model from token ids; table.py holds its n-grams
- on_disk/: the same for texts beyond memory; packed_table.py holds the n-grams of large models
- words.py: a limit on the vocabulary
- model.py: the model in use; tensors.py packs it for a file
- arpa.py, arpa_text.py: n-gram models as other toolkits write them
"""
