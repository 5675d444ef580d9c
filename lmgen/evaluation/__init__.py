"""
How well a model predicts a text: nats, perplexity, bits.

- scoring.py: nats of token ids, read in parallel streams or in order
- perplexity.py: scores of texts, lines and tokens
- baseline.py: the n-gram model of a run; mixing.py: the weights that mix it with the run's model
- comparison.py: models, baselines and their mixture side by side, as `lmgen perplexity` shows them
- exporting.py: ARPA files and smaller weights, with the scores before and after
"""
