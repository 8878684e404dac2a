"""Task files of lm-evaluation-harness on local data."""

import json
from pathlib import Path

DATA = """
dataset_path: json
dataset_kwargs: {data_files: {train: shots.jsonl, test: sums.jsonl}}
fewshot_split: train
test_split: test
doc_to_text: "{{sum}}="
"""
TASKS = {
    "choice": """
        task: choice
        include: data.yaml
        output_type: multiple_choice
        doc_to_choice: "{{options}}"
        doc_to_target: right
        metric_list: [{metric: acc}, {metric: acc_norm}]
    """,
    # A random model never answers right, but with different letters.
    "answer": """
        task: answer
        include: data.yaml
        output_type: generate_until
        doc_to_target: "{{options[right]}}"
        generation_kwargs: {max_gen_toks: 8, until: ["\\n"]}
        process_results: !function answers.measured
        metric_list: [{metric: letters, aggregation: mean, higher_is_better: true}]
    """,
    "likely": """
        task: likely
        include: data.yaml
        output_type: loglikelihood
        doc_to_target: "{{options[right]}}"
        metric_list: [{metric: perplexity}]
    """,
}
FUNCTIONS = """
def measured(doc, results):
    return {"letters": sum(map(ord, results[0])) / 1000}
"""


def write_tasks(folder: Path) -> None:
    """Write ``choice.yaml``, ``answer.yaml`` and ``likely.yaml`` into a working folder."""
    for name, start, count in (("shots", 40, 8), ("sums", 0, 30)):
        lines = [
            {"sum": f"{n}+1", "options": [str(n + 1), str(n), "none"], "right": n % 3}
            for n in range(start, start + count)
        ]
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    (folder / "data.yaml").write_text(DATA)
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(text)
    (folder / "answers.py").write_text(FUNCTIONS)
