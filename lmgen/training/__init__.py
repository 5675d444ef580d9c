"""
Windows in, weights out. The only folder that imports torch.

- run.py: a run from corpus to model, and its folder; setup.py: what one is made of; finetuning.py: from
  another model on
- loop.py: truncated backpropagation through time; stability.py, snapshots.py: back from a loss that explodes
- network.py: the recurrent network as a torch module; regularization.py: what training drops and penalises
- layers.py: a layer over a window; recurrence.py, cell_programs.py, programs.py, formulas.py, products.py:
  fast for any cell that is equations; process.py: in which threads and memory
- objectives.py: what is minimised
- optimizers.py, rows.py, schedules.py, averaging.py: how gradients become updates, and updates the result
- range_test.py, cost.py, trials.py: which learning rate, and what it will cost
- checkpoints.py: what a resumed run needs; records.py: what a run writes down
- ngram.py: n-gram models, alone (no torch)
- events.py: what happens, for whoever shows it; config.py, presets.py, config_file.py: the settings
"""
