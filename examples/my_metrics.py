"""Metrics of one's own: a language model as judge, and the share of programs that pass their tests.

A function gets a list of examples with prompt, generation, reference and record (docs/metrics.md).
"""

import json
import os
import subprocess
import sys
import urllib.request

QUESTION = "Grade the answer from 0 to 10; reply with the number alone.\n\n{}\n\nAnswer: {}"


def judge(examples):
    """Return a grade between 0 and 1 per answer, by the chat server at JUDGE_URL.

    Without a server, a stub grades by length, so that the example runs anywhere.
    """
    url, model = os.environ.get("JUDGE_URL"), os.environ.get("JUDGE_MODEL", "judge")
    if url is None:
        return [min(len(e.generation), 20) / 20 for e in examples]
    return [float(_ask(url, model, QUESTION.format(e.prompt, e.generation))) / 10 for e in examples]


def _ask(url, model, question):
    """Ask a server with OpenAI's protocol, such as vLLM or Ollama: http://host:port/v1."""
    body = {"model": model, "temperature": 0, "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def pass_at_1(examples):
    """Return 1 per program that passes the tests in its record's column ``test``.

    The programs run without a sandbox: start them in a container if you do not trust them.
    """
    return [float(_passes(e.generation, e.record["test"])) for e in examples]


def _passes(program, test):
    command = [sys.executable, "-I", "-c", f"{program}\n{test}"]
    try:
        return subprocess.run(command, timeout=5, capture_output=True).returncode == 0
    except subprocess.TimeoutExpired:
        return False
