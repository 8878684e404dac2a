"""Metrics of one's own: a language model as judge, and pass@k of programs.

A function gets a list of examples with prompt, generation, reference and record (docs/metrics.md);
pass@k also needs all their generations:

    metrics.pass={function: examples.my_metrics.pass_at_k, returns: [at_1, at_5], samples: 10, \
        temperature: 0.8, max_new_tokens: 256}
"""

import json
import math
import os
import subprocess
import sys
import urllib.request

KS = (1, 5)
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


def pass_at_k(examples):
    """Return the probability that one of k programs passes the record's column ``test``.

    It is estimated from all ``samples`` programs of an example, of which c pass, without bias:
    1 - C(n - c, k) / C(n, k). Source: Chen et al. 2021, https://arxiv.org/abs/2107.03374.
    The programs run without a sandbox: start them in a container if you do not trust them.
    """
    passed = [[_passes(one, e.record["test"]) for one in e.generations] for e in examples]
    return {f"at_{k}": [_at_least_one(len(one), sum(one), k) for one in passed] for k in KS}


def _at_least_one(n, c, k):
    if n < k:
        raise ValueError(f"samples: {n} given, allowed: {k} or more, for pass@{k}")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def _passes(program, test):
    command = [sys.executable, "-I", "-c", f"{program}\n{test}"]
    try:
        return subprocess.run(command, timeout=5, capture_output=True).returncode == 0
    except subprocess.TimeoutExpired:
        return False
