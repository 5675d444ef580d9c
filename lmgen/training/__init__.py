"""
Batches in, weights out. The only folder that imports torch.

- network.py, setup.py: the network as a torch module; layers/: fast ways to compute a layer with torch
- loop.py: truncated backpropagation through time; update.py: one update; validation.py: the validation loss
- optimization/: objective, regularisation, clipping, optimisers, schedules, averages
- state.py: all there is to know between two updates; position.py: how far training has come;
  checkpoints.py: the same as a file
- budget.py: when training ends; recovery.py: rollbacks when an update fails
- range_test.py, cost.py, speed.py: which learning rate, what training will cost, how fast a network learns;
  process.py: threads and memory
- processes.py, distributed.py: several processes that train together; precision.py: number formats of GPUs
- adapting.py, using.py: networks that learn while in use, and that compute on a GPU
- events.py: what happens, for display and records; config.py: the settings
"""
