"""
Language models: (ids, state) -> log-probabilities. numpy only, never torch.

Shapes are written with these letters, here and to the right:
T steps, B streams (the batch), V ids in the vocabulary, E embedding, H hidden, L layers, G gates of a cell.
"""
