"""
From a loss to changed weights.

- objectives.py: what is minimised; regularization.py: what training drops and penalises
- optimizers.py, rows.py: how gradients become updates; schedules.py: the learning rate over the budget
- averaging.py: averages of the weights that training passes through
"""
