"""
Text that goes on: sampling from any language model.

- config.py: the settings of sampling
- sampler.py: drawing token after token; many completions side by side
- filters.py: which tokens may be drawn, and how likely each is
- prompts.py: reading what comes before
- completion.py: one text while it grows
- stops.py: where it ends
- next.py: the distribution over the next token alone
"""
