"""
Windows in, weights out. The only folder that imports torch.

- run.py: a run from corpus to model, and its folder
- loop.py: truncated backpropagation through time
- network.py: the recurrent network as a torch module
- objectives.py: what is minimised
- optimizers.py, rows.py, schedules.py: how gradients become updates
- checkpoints.py: what a resumed run needs; records.py: what a run writes down
- ngram.py: n-gram models, alone (no torch)
- events.py: what happens, for whoever shows it; config.py: the settings
"""
