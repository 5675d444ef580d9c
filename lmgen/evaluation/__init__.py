"""
How surprised a model is by a text: nats, perplexity, bits.

- scoring.py: token ids to nats, in parallel streams or one after another
- perplexity.py: texts, lines and tokens to the figures that people compare
- baseline.py: the n-gram model of a run; mixing.py: the weights with which it is mixed with the network
"""
