"""
Language models: (ids, state) -> log-probabilities. numpy only, never torch.

- base.py: the protocol that every model follows
- config.py, cells.py, outputs.py, recurrent.py, initialization.py: the recurrent network
- kernels.py: the cells' equations as numpy computes them fastest
- ngram.py: the n-gram model; kneser_ney.py estimates it, ngram_table.py holds its n-grams, ngram_tensors.py
  packs them for a file
- arpa.py, arpa_text.py: n-gram models as other toolkits write them
- mixture.py: several models, linearly interpolated
- model_file.py: a model as one file; compression.py: a network's weights in fewer bytes
- description.py: what a model is, in figures

Shapes are written with these letters, here and to the right:
T steps, B streams (the batch), V ids in the vocabulary, E embedding, H hidden, L layers, G gates of a cell.
"""
