"""
From the network's hidden states to new weights, step by step of an update.

- objectives.py: the loss; regularization.py: dropout and penalties
- clipping.py: gradients that are too long
- optimizers.py, rows.py: the optimisers; schedules.py: the learning rate over the budget
- averaging.py: averages of the weights of many updates
"""
