"""Shows the animals of the zoo to `diagnose`, and counts what it made of them: the confusion matrix."""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.diagnose.decide import VERDICTS
from helpers.diagnose.result import UNTOLD, Diagnosis
from helpers.diagnose.run import diagnose
from helpers.server.server import Server
from tests.zoo.labels import Animal

ZOO = Path(__file__).parent / "zoo"


@dataclass(frozen=True)
class Seen:
    """An animal, and what the diagnosis took it for."""

    animal: Animal
    diagnosis: Diagnosis

    @property
    def right(self) -> bool:
        return self.diagnosis.verdict == self.animal.verdict and not self.missed

    @property
    def missed(self) -> set[str]:
        """Findings that it should have had, and has not."""
        return set(self.animal.findings) - {finding.name for finding in self.diagnosis.findings}

    @property
    def confidently_wrong(self) -> bool:
        found = self.diagnosis
        return found.verdict not in (self.animal.verdict, *UNTOLD) and found.confidence == "high"

    def __str__(self) -> str:
        found = self.diagnosis
        says = f"{found.verdict} ({found.confidence}), {found.seconds:.0f} s"
        also = ", ".join(finding.name for finding in found.findings)
        wrong = "" if self.right else f"  <-- {self.animal.verdict} {sorted(self.missed) or ''}"
        return f"{self.animal.name}: {says}{f' [{also}]' if also else ''}{wrong}"


def show(animal: Animal) -> Seen:
    """Diagnose it, with the service that it asks running beside it."""
    env = dict(animal.env)
    with ExitStack() as running:
        if animal.downstream_admits:
            service = Server(
                "helpers.demo.downstream:app", port=None, env={"DOWNSTREAM_AT_A_TIME": str(animal.downstream_admits)}
            )
            env["DOWNSTREAM_URL"] = running.enter_context(service).url
        found = diagnose(
            animal.app,
            path=animal.path,
            method=animal.method,
            json_body=animal.json_body,
            headers=dict(animal.headers),
            app_dir=ZOO,
            factory=animal.factory,
            env=env,
            yes=True,
            progress=False,
        )
    return Seen(animal, found)


def confusion_matrix(seen: Iterable[Seen]) -> pd.DataFrame:
    """Rows: what it is; columns: what it was taken for."""
    counts = Counter((each.animal.verdict, each.diagnosis.verdict) for each in seen)
    kinds = [verdict for verdict in VERDICTS if any(verdict in pair for pair in counts)]
    return pd.DataFrame([[counts[is_, said] for said in kinds] for is_ in kinds], index=kinds, columns=kinds)
