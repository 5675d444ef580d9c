"""
How well a model predicts a text: nats, perplexity, bits.

- scoring.py: nats of token ids, read in parallel streams or in order
- units.py: a text cut into what is read afresh, encoded and scored
- rows.py: the lines and words in it, and the sums of their tokens; words.py: what is measured at a word
- row_makers.py: the rows by record, line, word and token; results.py: what each holds
- perplexity.py: scores of whole texts, and of their rows
- baseline.py: the n-gram model of a run; mixing.py: the weights that mix it with the run's model
- comparison.py: models, baselines and their mixture side by side, as `lmgen perplexity` shows them
- novelty.py: what of a text stands in the training text; matching.py: the longest matches of two texts
- exporting.py: ARPA files and smaller weights, with the scores before and after
"""
