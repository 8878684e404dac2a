"""Python that loads an exported trial and generates an answer, for its model card."""

import json
from collections.abc import Iterator
from dataclasses import fields

from ugro.analysis.model_card.exported import Exported
from ugro.config import Dtype, QuantizationMethod, RandomLlamaConfig

PROMPT = "What is the capital of France?"
NEW_TOKENS = 64
OF_MESSAGES = """\
inputs = tokenizer.apply_chat_template(
    [{{"role": "user", "content": {prompt}}}],
    add_generation_prompt=True, return_dict=True, return_tensors="pt",
)"""
OF_TEXT = """\
inputs = tokenizer({prompt}, return_tensors="pt")"""
TEXT = "I would buy it again."
LABEL = f"""\
inputs = tokenizer({json.dumps(TEXT)}, return_tensors="pt")
probabilities = model(**inputs).logits.softmax(dim=-1)[0]
print(model.config.id2label[int(probabilities.argmax())], float(probabilities.max()))"""
DTYPES = {Dtype.fp32: "float32", Dtype.fp16: "float16", Dtype.bf16: "bfloat16"}
PRINT = (
    'print(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))'
)


def loading(exported: Exported) -> str:
    """Return a program that loads what was exported and prints an answer, or a label."""
    if exported.labels:
        return "\n".join([*_load(exported), "", LABEL])
    ask = OF_MESSAGES if exported.conversations else OF_TEXT
    prompt = ask.format(prompt=_quoted(PROMPT))
    return "\n".join([*_load(exported), "", prompt, *_generate(exported), PRINT])


def _generate(exported: Exported) -> Iterator[str]:
    limits = f"**inputs, max_new_tokens={NEW_TOKENS}, do_sample=False"
    if not exported.stop_tokens:
        yield f"output = model.generate({limits})"
        return
    yield f"stop_tokens = [{', '.join(map(_quoted, exported.stop_tokens))}]"
    yield "output = model.generate("
    yield f"    {limits},"
    yield "    eos_token_id=tokenizer.convert_tokens_to_ids(stop_tokens),"
    yield ")"


def _load(exported: Exported) -> Iterator[str]:
    if exported.format == "adapter":
        yield from _base(exported)
        yield from _requantised(exported)
        yield f"model = PeftModel.from_pretrained(base, {_quoted(exported.location)})"
        yield f"tokenizer = AutoTokenizer.from_pretrained({_quoted(exported.location)})"
        return
    file = f", gguf_file={_quoted(exported.file)}" if exported.file else ""
    trust = ", trust_remote_code=True" if exported.base.trust_remote_code else ""
    yield f"from transformers import {_kind(exported)}, AutoTokenizer\n"
    yield f"folder = {_quoted(exported.location)}"
    yield f"tokenizer = AutoTokenizer.from_pretrained(folder{file}{trust})"
    yield f'model = {_kind(exported)}.from_pretrained(folder{file}, dtype="auto"{trust})'


def _kind(exported: Exported) -> str:
    """Return the class that loads the model."""
    return "AutoModelForSequenceClassification" if exported.labels else "AutoModelForCausalLM"


def _labels(exported: Exported) -> str:
    """Return the argument that gives a base model the labels of a classifier."""
    names = ", ".join(f"{index}: {_quoted(name)}" for index, name in enumerate(exported.labels))
    return f", id2label={{{names}}}" if exported.labels else ""


def _quoted(text: str) -> str:
    """Write text as Python does, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _base(exported: Exported) -> Iterator[str]:
    """Yield the lines that load the base model."""
    base = exported.base
    if base.random_llama is not None:
        shape = ", ".join(
            f"{field.name}={getattr(base.random_llama, field.name)}"
            for field in fields(RandomLlamaConfig)
        )
        yield "from peft import PeftModel"
        yield "from transformers import AutoTokenizer"
        yield "from ugro.config import RandomLlamaConfig"
        yield "from ugro.trial.model.random_llama import byte_tokenizer, random_llama\n"
        yield f"shape = RandomLlamaConfig({shape})"
        yield f"base = random_llama(shape, byte_tokenizer(){_labels(exported)})"
    elif base.gguf_file is not None:
        folder = _quoted(str(base.path))
        if base.package is not None:
            yield "from importlib.util import find_spec"
            folder = f"find_spec({_quoted(base.package)}).submodule_search_locations[0]"
        yield "from peft import PeftModel"
        yield f"from transformers import {_kind(exported)}, AutoTokenizer, GgufConfig\n"
        yield f"base = {_kind(exported)}.from_pretrained("
        yield f"    {folder},"
        yield f'    gguf_file={_quoted(base.gguf_file)}, dtype="float32",'
        yield f"    quantization_config=GgufConfig(dequantize=True){_labels(exported)},"
        yield ")"
    else:
        revision = f", revision={_quoted(base.revision)}" if base.revision else ""
        trust = ", trust_remote_code=True" if base.trust_remote_code else ""
        yield "from peft import PeftModel"
        yield f"from transformers import {_kind(exported)}, AutoTokenizer"
        yield from _quantization_imports(exported)
        yield ""
        yield f"base = {_kind(exported)}.from_pretrained("
        options = f'dtype="auto"{revision}{trust}{_labels(exported)}'
        quantised = not exported.quantization.is_none
        yield f"    {_quoted(str(base.path))}, {options}{',' if quantised else ''}"
        if quantised:
            yield f"    quantization_config={_quantization(exported)},"
        yield ")"


def _requantised(exported: Exported) -> Iterator[str]:
    """Yield the lines that quantise a base model that is in memory."""
    is_loaded = exported.base.random_llama is None and exported.base.gguf_file is None
    if exported.quantization.is_none or is_loaded:
        return
    yield from _quantization_imports(exported)
    yield "base = type(base).from_pretrained("
    yield "    None, config=base.config, state_dict=base.state_dict(), dtype=base.dtype,"
    yield f"    quantization_config={_quantization(exported)},"
    yield ")"


def _quantization_imports(exported: Exported) -> Iterator[str]:
    match exported.quantization.method:
        case QuantizationMethod.none:
            return
        case QuantizationMethod.torchao_int8:
            yield "from torchao.quantization import Int8WeightOnlyConfig"
            yield "from transformers import TorchAoConfig"
        case _:
            yield "from transformers import BitsAndBytesConfig"


def _quantization(exported: Exported) -> str:
    """Return the expression of transformers' ``quantization_config`` in training."""
    quantization = exported.quantization
    match quantization.method:
        case QuantizationMethod.torchao_int8:
            return "TorchAoConfig(Int8WeightOnlyConfig())"
        case QuantizationMethod.bnb_int8:
            return "BitsAndBytesConfig(load_in_8bit=True)"
    products = DTYPES.get(quantization.compute_dtype, exported.precision)
    arguments = (
        "load_in_4bit=True",
        'bnb_4bit_quant_type="nf4"',
        f"bnb_4bit_use_double_quant={quantization.double_quantization}",
        f"bnb_4bit_compute_dtype={_quoted(products)}",
    )
    return "BitsAndBytesConfig(\n        " + ", ".join(arguments) + "\n    )"
