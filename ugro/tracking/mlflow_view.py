"""Which columns does MLflow show of a study's trials? Those of a saved view, in its menu Views.

Without one MLflow shows when a run was made and by whom, but neither parameters nor metrics. A view
is a tag of the experiment; this is how MLflow 3.17 writes them. A later version that does not
understand one leaves it out of the menu.
"""

import base64
import json
import time
import zlib

from ugro.tracking.updates import Table

VIEW = "mlflow.sharedViewState.ugro"
NAME = "Trials of the latest study, best first"
COSTS = ("tokens_seen", "train_seconds", "peak_memory_mb")


def best_first(study: str, table: Table) -> str:
    """The tag's value.

    Args:
        study: its runs' tag ``study_id``
        table: what it shows
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
