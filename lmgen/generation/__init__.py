"""
Completing texts: sampling from any language model.

- config.py: the settings of sampling
- sampler.py: draws token after token, for many completions side by side
- filters.py: top-k, top-p and the other controls: which tokens may be drawn, and with what probability
- prompts.py: reads the prompt
- completion.py: one completion while it grows
- stops.py: stop texts
- next.py: the distribution over the next token
"""
