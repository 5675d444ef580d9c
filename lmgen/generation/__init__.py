"""
Generate text by sampling from any language model.

- config.py: the settings of sampling
- sampler.py: token after token; many completions side by side
- drawing.py: draw the next token of each
- filters.py: which tokens may be drawn, and with what weights
- prompts.py: read the prompt
- completion.py: one completion while it grows
- stops.py: where a completion ends
- next.py: the distribution over the next token
"""
