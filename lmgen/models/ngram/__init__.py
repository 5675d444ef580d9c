"""
n-gram models: the tables of probabilities, their estimation, and ARPA files.

- kneser_ney.py: estimates a model from token ids; table.py holds its n-grams
- model.py: the model in use; tensors.py packs it for a file
- arpa.py, arpa_text.py: n-gram models as other toolkits write them
"""
