"""
Batches in, weights out. The only folder that imports torch.

- network.py, setup.py: the network as a torch module; layers/: fast ways to compute a layer with torch
- loop.py: truncated backpropagation through time; update.py: one update; validation.py: the validation loss
- optimization/: objective, regularisation, clipping, optimisers, schedules, averages
- state.py: all there is to know between two updates; position.py: how far training has come;
  checkpoints.py: the same as a file
- budget.py: when training ends; recovery.py: rollbacks when an update fails
- range_test.py, cost.py: which learning rate, and what training will cost; process.py: threads and memory
- events.py: what happens, for display and records; config.py: the settings
"""
