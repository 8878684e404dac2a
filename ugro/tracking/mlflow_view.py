"""Build the saved MLflow view of a study's trials, listed in the menu Views.

MLflow's default table shows when and by whom a run was created, but neither parameters nor metrics.
A view is a tag of the experiment, in the format of MLflow 3.17. A version that cannot read the tag
omits the view from the menu.
"""

import base64
import json
import time
import zlib

from ugro.tracking.updates import Table

VIEW_KEY = "ugro"  # in the address of a page
VIEW = f"mlflow.sharedViewState.{VIEW_KEY}"
NAME = "Trials of the latest study, best first"
COSTS = ("tokens_seen", "train_seconds", "peak_memory_mb")


def view_best_first(study: str, table: Table) -> str:
    """Return the tag's value for a table of trials, best first.

    Args:
        study: value of the tag ``study_id`` of its runs
        table: columns and order
    """
    metrics = [table.metric, *COSTS]
    shown = {
        "searchFilter": f"tags.study_id = '{study}' and tags.trial != 'study'",
        "orderByKey": f"metrics.`{table.metric}`",
        "orderByAsc": table.ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [
            *(f"metrics.`{name}`" for name in metrics),
            *(f"params.`{name}`" for name in table.parameters),
            *(f"tags.`{name}`" for name in ("state", "reason")),
        ],
        "runsHiddenMode": "FIRST_20_RUNS",
        "globalLineChartConfig": {
            "xAxisKey": "step",
            "lineSmoothness": 0,
            "selectedXAxisMetricKey": "",
        },
    }
    packed = base64.b64encode(zlib.compress(json.dumps(shown).encode())).decode()
    now = round(time.time() * 1000)
    view = {"name": NAME, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    return json.dumps(view)
