"""
Language models: (ids, state) -> log-probabilities. numpy only, never torch.

- base.py: the protocol that every model follows
- network/: the recurrent network
- ngram/: the n-gram model
- mixture.py: several models, linearly interpolated
- model_file.py: a model as one file

Shapes are written with these letters, here and to the right:
T steps, B streams (the batch), V ids in the vocabulary, E embedding, H hidden, L layers, G gates of a cell.
"""
