"""Notebook 09: the four bets, what was measured of each, and what they have in common."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from helpers.incident.result import Incident
from helpers.teach.outcomes import VOID
from helpers.teach.predict_table import Line
from helpers.teach.words.n09 import (
    ACTS,
    ALL,
    ANSWERS,
    DOWN,
    FEW,
    KILL,
    NONE,
    ROLL,
    UP,
    answer_of,
    toll,
    void_of,
)

if TYPE_CHECKING:
    from helpers.plots.picture import Picture

LINES = (
    Line(
        ACTS[UP], ("", "Which of the running workers has to end for it?", "Who served until the new ones were there?")
    ),
    Line(
        ACTS[DOWN],
        (
            "A connection belongs to one worker. What if a request lies in it while that worker packs up?",
            "What does a worker do with what it has in hand before it goes?",
            "How many workers were left, and was that too few?",
        ),
    ),
    Line(
        ACTS[ROLL],
        (
            "A connection belongs to one worker. What if a request lies in it while that worker packs up?",
            "What does a worker do with what it has in hand before it goes?",
            "In the strip of workers: what was the least number that served?",
        ),
    ),
    Line(
        ACTS[KILL],
        (
            "What became of the request that it was working on?",
            "Was there one in its hands in that moment?",
            "Who decides which worker gets a request (03)? Does a dead one get any?",
        ),
    ),
)


def right(lost: Mapping[str, Incident]) -> dict[str, str]:
    """For each of the acts (by the name of its event) the answer that it bears out."""
    return {words: answer_of(lost[name], name) for name, words in ACTS.items()}


def picture(lost: Mapping[str, Incident], bets: Mapping[str, float]) -> "Picture":
    """What was measured of each act, and what was predicted."""
    from helpers.plots.scoreboard import Score, scoreboard_plot

    answers = [words for words, _ in ANSWERS]
    scores = []
    for name, words in ACTS.items():
        found = answer_of(lost[name], name)
        column = answers.index(found) if found in answers else None
        said = found if column is None else str(toll(lost[name], name))
        bet = bets.get(words)
        scores.append(Score(words, column, said, None if bet is None else int(bet)))
    columns = ["none", "a few: what\none worker had", "all that come\nuntil it is done"]
    return scoreboard_plot("Lost by it, and how many came while it was done", columns, scores)


def in_words(lost: Mapping[str, Incident]) -> str:
    """What the four acts have in common."""
    found = right(lost)
    if VOID in found.values():
        return next(filter(None, (void_of(each) for each in lost.values())), f"Some of it {VOID}.")
    if ALL in found.values():
        names = ", ".join(words for words, answer in found.items() if answer == ALL)
        return f"Much was lost by this: {names}. Were there workers left that served? Look at the strip of workers."
    none = [words for words, answer in found.items() if answer == NONE]
    few = [words for words, answer in found.items() if answer == FEW]
    text = "In none of the four was the service gone: some worker was at the door all the time. "
    if none:
        text += f"Nothing was lost: {'; '.join(none)}. "
    if few:
        text += (
            f"A few were lost: {'; '.join(few)}. That is what a worker that went had in its hands, or in its open"
            " connections. How many that is does not depend on how long the act takes, but on how much one worker"
            " holds."
        )
    return text
