"""Share out the weights of a base model among processes (FSDP2).

Only frozen weights are sharded: an adapter that is added afterwards is whole in each process, with
its gradients and optimizer state. So a checkpoint holds the same files whatever the number of
processes, and every optimizer and adapter works as in a single process.
"""

from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from ugro.errors import UserError, fault
from ugro.trial.hardware import device

COPIES = 2  # of a layer in use: as it is exchanged, and as it computes


def shard(model: PreTrainedModel) -> None:
    """Share out the frozen weights of the layers, and move the model to the device.

    Each layer is gathered while it computes, and not ahead of that: FSDP2 would need a common root,
    and its hooks fail where the loss calls the head by itself. Embedding, final norm and head are
    whole in each process.

    Raises:
        UserError: the model's layers are unknown.
    """
    mesh = init_device_mesh(device().type, (distributed.get_world_size(),))
    for layer in _layers(model):
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)  # not its default without root
    model.to(device())
    # transformers then lets all processes generate until each has ended.
    model._is_fsdp_managed_module = True


def bytes_elsewhere(model: PreTrainedModel, processes: int) -> int:
    """Return the bytes of weights that a process leaves to the others, less those of gathering.

    Args:
        model: model that is not sharded yet
        processes: number of processes

    Raises:
        UserError: the model's layers are unknown.
    """
    sizes = [sum(tensor.nbytes for tensor in layer.parameters()) for layer in _layers(model)]
    return max(0, sum(sizes) - sum(sizes) // processes - COPIES * max(sizes))


def _layers(model: PreTrainedModel) -> list[nn.Module]:
    """Return the outermost modules that transformers never splits among devices.

    Raises:
        UserError: the model names none.
    """
    names = model._no_split_modules or ()
    every = [module for module in model.modules() if type(module).__name__ in names]
    inner = {below for module in every for below in module.modules() if below is not module}
    found = [module for module in every if module not in inner]
    if not found:
        allowed = f"ddp, as {type(model).__name__} does not name its layers"
        raise UserError(fault("training.parallel", "fsdp", allowed))
    return found


def check_trained(model: nn.Module) -> None:
    """Refuse to train weights that are sharded.

    Raises:
        UserError: the adapter trains weights of the base model.
    """
    sharded = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and isinstance(parameter, DTensor)
    ]
    if sharded:
        allowed = f"ddp, as the adapter trains weights of the base model, such as {sharded[0]}"
        raise UserError(fault("training.parallel", "fsdp", allowed))
