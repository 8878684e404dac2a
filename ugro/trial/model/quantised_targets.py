"""Check an adapter against the layers of a quantised base model."""

from transformers import PreTrainedModel

from ugro.config import AnyAdapter, LoraConfig, name_of
from ugro.config.quantization import adapter_faults_on
from ugro.errors import UserError, fault
from ugro.trial.model.quantization import method_of_checkpoint
from ugro.trial.model.target_modules import matches
from ugro.trial.model.weight_storage import quantised_linears


def check_quantised(model: PreTrainedModel, config: AnyAdapter) -> None:
    """Refuse an adapter that reads or trains weights of a quantised model.

    Raises:
        UserError: PEFT has no such adapter for quantised layers, its initialisation reads the
            weights, or ``modules_to_save`` names some.
    """
    adapter, method = name_of(config), method_of_checkpoint(model.config)
    which = f"with a base model quantised by {method}" if method else "with a quantised base model"
    lora = config if isinstance(config, LoraConfig) else None
    if refused := list(adapter_faults_on(method, which, adapter, lora)):
        raise UserError("\n".join(refused))
    names = [name for name, _ in model.named_modules()]
    quantised = [name for name, _ in quantised_linears(model)]
    for given in config.modules_to_save or []:
        parts = tuple(f"{name}." for name in matches(given, names))
        if any(f"{name}.".startswith(parts) for name in quantised):
            allowed = "modules that are not quantised; an adapter trains the others"
            raise UserError(fault(f"{adapter}.modules_to_save", given, allowed))
