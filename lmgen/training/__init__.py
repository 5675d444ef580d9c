"""
Batches in, weights out. The only folder that imports torch.

- network.py, setup.py: the network as a torch module; layers/: the fast ways that torch has
- optimization/: objective, regularization, optimizers, schedules, averages
- loop.py: truncated backpropagation through time; recovery.py, snapshots.py: back from a loss that explodes
- range_test.py, cost.py: which learning rate, and what training will cost; process.py: threads and memory
- checkpoints.py: what a resumed run needs
- events.py: what happens, for whoever shows it; config.py: the settings
"""
