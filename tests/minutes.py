"""How long a notebook takes: reading and doing by rule, and the machine's part as it was measured.

The rule, for what stands before "Going deeper" (folded answers and solutions left out): 200 words of prose a minute, 2
seconds for a line of code, 30 for a prediction, 90 for an exercise, and 10 to look at what each other cell shows.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

WORDS_PER_MINUTE = 200
LINE_S, PREDICTION_S, EXERCISE_S, LOOK_S = 2, 30, 90, 10
WITHIN = 0.30
DEEPER = "# Going deeper"


@dataclass(frozen=True)
class Reading:
    """What there is to be read and done in the core of one notebook."""

    words: int
    lines: int
    predictions: int
    exercises: int
    looks: int

    @property
    def minutes(self) -> float:
        doing_s = self.predictions * PREDICTION_S + self.exercises * EXERCISE_S + self.looks * LOOK_S
        return self.words / WORDS_PER_MINUTE + (self.lines * LINE_S + doing_s) / 60


def core(path: Path) -> list[dict[str, Any]]:
    """The cells that one has to go through."""
    cells = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        cells.append({**cell, "source": text.partition(DEEPER)[0]})
        if DEEPER in text and cell["cell_type"] == "markdown":
            return cells
    raise AssertionError(f"{path.name} does not go deeper")


def reading(path: Path) -> Reading:
    prose, code = "", []
    for cell in core(path):
        if cell["cell_type"] == "markdown":
            prose += "\n" + cell["source"]
        else:
            code.append(cell)
    prose = re.sub(r"<details>.*?</details>|```.*?```", "", prose, flags=re.DOTALL)
    predictions = [cell for cell in code if re.search(r"= predict(_\w+)?\(", cell["source"])]
    words = prose + " ".join(text for cell in predictions for text in re.findall(r'"([^"]{8,})"', cell["source"]))
    seen = [cell for cell in code if not cell["metadata"].get("jupyter", {}).get("source_hidden")]
    exercises = sum("answer = ..." in cell["source"] for cell in code)
    return Reading(
        words=len(re.findall(r"[\w'’-]+", words)),
        lines=sum(bool(line.strip()) for cell in seen for line in cell["source"].splitlines()),
        predictions=len(predictions),
        exercises=exercises,
        looks=len(code) - len(predictions) - exercises,
    )


def machine_minutes(copy: Path) -> float:
    """How long the cells of the core ran, by the stamps that an executed copy keeps of each."""
    seconds = 0.0
    for cell in core(copy):
        stamps = cell["metadata"].get("execution", {})
        if "shell.execute_reply" in stamps:
            begin, end = (at(stamps[name]) for name in ("iopub.status.busy", "shell.execute_reply"))
            seconds += (end - begin).total_seconds()
    return seconds / 60


def at(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00"))
