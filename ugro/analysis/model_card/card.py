"""Write the model card of an exported trial from its study."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from huggingface_hub import ModelCardData
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from ugro.analysis.findings import answers
from ugro.analysis.findings.answers import describe_test
from ugro.analysis.findings.findings import Findings
from ugro.analysis.findings.held_out import held_out_of
from ugro.analysis.findings.next_command import single_trial_command
from ugro.analysis.model_card.exported import Exported
from ugro.analysis.model_card.loading import loading
from ugro.analysis.tables import Tables
from ugro.config import Adapter, Config, Source, adapter_of
from ugro.config.mixture import members
from ugro.events.trial_report import DATA_PARTS
from ugro.formatting import counted, data_lines, listed, number
from ugro.redaction import redacted
from ugro.shell import override
from ugro.space.search_space import described
from ugro.study.study import Study
from ugro.study.trial_record import metrics

LIBRARIES = {"adapter": "peft", "merged": "transformers", "gguf": "transformers"}
RELATIONS = {"adapter": "adapter", "merged": "finetune", "gguf": "finetune"}
VERSIONS = ("ugro", "torch", "transformers", "peft", "python")
MACHINE = ("device", "dtype", "quantization", "seed")


def model_card(
    exported: Exported,
    config: Config,
    study: Study,
    tables: Tables,
    findings: Findings,
    provenance: Mapping[str, str],
) -> str:
    """Return the card as Markdown with YAML front matter.

    Args:
        exported: what was exported
        config: configuration of the trial
        study: record of the study
        tables: tables of the study
        findings: findings of the study
        provenance: provenance of the trial
    """
    trial = next(one for one in study.of_all_groups() if one.number == exported.number)
    sections = {
        "Use": _use(exported),
        "Base model": _base(exported, study.record.study_name),
        "Result": _result(exported, study, tables, findings, trial),
        "Data": _data(config, provenance),
        "Search": _search(tables, findings, trial),
        "Configuration": _configuration(config),
        "Cost of the search": _said(findings, answers.COST),
        "How it was made": _made(tables, trial, provenance),
    }
    head = [
        f"---\n{_metadata(exported, config)}\n---",
        f"# {_kind(config)} of {exported.base_name}",
        f"Trial {exported.number} of the study `{study.record.study_name}`, a search of "
        f"{_kind(config)} hyperparameters by UGRO. {_what(exported)}",
    ]
    body = [f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items()]
    return redacted("\n\n".join([*head, *body]) + "\n")


def _metadata(exported: Exported, config: Config) -> str:
    sets = [member.data for member in members(config.data)]
    hub = [str(one.path) for one in sets if one.source is Source.hub]
    on_hub = [path for path in hub if not Path(path).exists()]
    tags = [config.adapter.name, "ugro", *(["gguf"] if exported.format == "gguf" else [])]
    data = ModelCardData(
        base_model=exported.hub_id,
        library_name=LIBRARIES[exported.format],
        license=exported.license,
        datasets=on_hub or None,
        pipeline_tag="text-classification" if exported.labels else "text-generation",
        tags=tags,
    )
    if exported.hub_id:
        data["base_model_relation"] = RELATIONS[exported.format]
    return data.to_yaml()


def _kind(config: Config) -> str:
    return "LoRA" if config.adapter is Adapter.lora else f"{config.adapter.name} adapter"


def _what(exported: Exported) -> str:
    match exported.format:
        case "adapter":
            return (
                "These files are its adapter in PEFT's format, for the base model below, in "
                f"{exported.dtype}."
            )
        case "merged":
            what = "the base model with the adapter merged"
        case _:
            what = f"the base model with the adapter merged, in `{exported.file}`"
    return f"These files are {what}, in {exported.dtype}."


def _use(exported: Exported) -> Iterator[str]:
    yield f"```python\n{loading(exported)}\n```"
    if exported.stop_tokens:
        named = listed([f"`{token}`" for token in exported.stop_tokens])
        yield ""
        yield (
            f"An answer ends at {named}. The generation config that comes with the weights does "
            "not name them all, so the program does; a server needs them as stop tokens."
        )
    if exported.checked:
        yield ""
        yield from exported.checked


def _base(exported: Exported, study: str) -> Iterator[str]:
    base = exported.base
    if base.random_llama is not None:
        yield "A Llama with random weights and a byte tokenizer, for tests: it has learnt nothing."
    elif base.package is not None:
        yield f"`{base.gguf_file}` of the Python package `{base.package}`, de-quantised to fp32."
    elif base.gguf_file is not None:
        yield f"`{base.gguf_file}`, de-quantised to fp32."
    elif exported.hub_id is not None:
        commit = f", commit `{base.revision}`" if base.revision else ""
        yield f"[{base.path}](https://huggingface.co/{base.path}){commit}."
    else:
        yield f"The folder `{base.path}`."
    unknown = "unknown; see the base model's own terms before you pass this on"
    yield f"Its licence: {exported.license or unknown}."
    if exported.format == "adapter" and exported.hub_id is None and not exported.base_is_folder:
        yield (
            "No name loads this base model, so the program above builds it; servers cannot. To "
            f"serve the trial, use `ugro export study.name={study} trial={exported.number} "
            "format=merged`."
        )


def _result(
    exported: Exported, study: Study, tables: Tables, findings: Findings, trial: FrozenTrial
) -> Iterator[str]:
    best = findings.best
    is_best = best is not None and best.number == exported.number
    tested = list(describe_test(held_out_of(study, tables, exported.number)))
    yield from (f"- {line}" for line in tested)
    if not tested:
        yield "- It was not measured on a test part, which the search does not see."
    if trial.values:
        pairs = zip(findings.objectives, trial.values, strict=True)
        values = ", ".join(f"{name} {number(value)}" for name, value in pairs)
        chosen = counted(findings.cost.trials, "trial")
        bias = f", the best of {chosen}: chosen by it, so it is somewhat optimistic" * is_best
        yield f"- On the evaluation part: {values}{bias}."
    untrained = metrics(trial).get("base_eval_loss")
    if untrained is not None:
        yield f"- The untrained base model has eval_loss {number(untrained)} there."
    if is_best:
        yield from (f"- {line}" for line in findings.certainty.said)
    elif best is not None:
        yield f"- It is not the best trial of its study, which is trial {best.number}."


def _data(config: Config, provenance: Mapping[str, str]) -> Iterator[str]:
    for member in members(config.data):
        data = member.data
        named = [data.path or "", data.subset or ""] if data.path else data.train_files
        source = f"Source: `data={data.source.name}`"
        weight = f", weight {number(member.weight)}" if member.weight != 1 else ""
        limit = f", {member.max_examples:,} documents at most" if member.max_examples else ""
        yield f"{source}{''.join(f' `{name}`' for name in named if name)}{weight}{limit}."
        yield ""
    if "data" in provenance:
        yield from (f"- {line}" for line in data_lines(json.loads(provenance["data"])))
    known = [f"{name} `{provenance[name]}`" for name in DATA_PARTS if name in provenance]
    if known:
        yield f"- Fingerprints: {', '.join(known)}"


def _search(tables: Tables, findings: Findings, trial: FrozenTrial) -> Iterator[str]:
    if not tables.searched:
        yield "Nothing was searched."
        return
    pairs = zip(findings.objectives, findings.directions, strict=True)
    yield f"The search was to {listed([f'{direction} {name}' for name, direction in pairs])}."
    yield "\n| key | searched | this trial |\n|---|---|---|"
    for key, over in tables.searched.items():
        cells = (f"`{key}`", described(over), f"`{trial.params.get(key, 'not searched')}`")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _configuration(config: Config) -> Iterator[str]:
    parts = {config.adapter.name: adapter_of(config), "training": config.training}
    plain = {name: OmegaConf.structured(part) for name, part in parts.items()}
    yield f"```yaml\n{OmegaConf.to_yaml(OmegaConf.create(plain)).strip()}\n```"


def _made(tables: Tables, trial: FrozenTrial, provenance: Mapping[str, str]) -> Iterator[str]:
    given = [override(key, value) for key, value in trial.params.items()]
    if command := single_trial_command(tables, given):
        yield f"This command trains the same configuration:\n\n```bash\n{command}\n```\n"
    versions = [f"{name} {provenance[name]}" for name in VERSIONS if name in provenance]
    where = [f"{name} {provenance[name]}" for name in MACHINE if name in provenance]
    commit = [f"git commit `{provenance['git_commit']}`"] if "git_commit" in provenance else []
    if known := [*versions, *where, *commit]:
        yield f"It was made with {', '.join(known)}."


def _said(findings: Findings, question: str) -> Iterator[str]:
    for answer in findings.answers:
        if answer.question == question:
            yield " ".join(answer.said)
