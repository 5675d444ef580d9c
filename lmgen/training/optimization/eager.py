"""
Optimisers of torch without what is there for torch.compile.

Torch wraps the methods of its optimisers so that a compiled program leaves them alone. The wrappers import
torch._dynamo, which takes a second or two, at the start of every training. Nothing is compiled here, so the
methods are taken as they were before they were wrapped, which `functools.wraps` notes in each wrapper.
"""

from inspect import unwrap
from typing import Any, TypeVar, cast

import torch

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)

WRAPPED = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")


def eager(kind: type[Kind]) -> type[Kind]:
    """A subclass of an optimiser that imports nothing when it is used; its `step` takes no closure."""
    methods: dict[str, Any] = {name: unwrap(getattr(kind, name)) for name in WRAPPED}
    methods["step"] = torch.no_grad()(unwrap(kind.step))
    return cast(type[Kind], type(kind.__name__, (kind,), methods))
