"""Run picks with known answers through the merge engine, and print how often it agrees.

    python scripts/bench/merge_cases.py REPOSITORY CASES.tsv [--show N] [--repeat N] [--limit N]

REPOSITORY is a bare repository that holds the commits, CASES a table as ``merge-cases.tsv`` beside the
event: commit of the base, of ours, of theirs, git's verdict, and the tree where it is clean or the
conflicted paths.
Ours and theirs are labelled by their commit ids, as ``git merge-tree`` does.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from dulwich.repo import Repo

from resync.merge import Labels, MergeOptions, merge_trees
from resync.model import MergeResult, Oid
from resync.repository.objects import Objects


class Case(NamedTuple):
    """One pick and git's answer to it."""

    base: Oid
    ours: Oid
    theirs: Oid
    verdict: str
    answer: str


def read_cases(path: Path) -> list[Case]:
    """The cases of a table, in their order."""
    cases = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            base, ours, theirs, verdict, answer = (*line.split("\t"), "")[:5]
            cases.append(Case(Oid(base.encode()), Oid(ours.encode()), Oid(theirs.encode()), verdict, answer))
    return cases


def run(objects: Objects, case: Case) -> MergeResult:
    """Merge one case."""
    base, ours, theirs = (objects.commit(oid).tree for oid in case[:3])
    labels = Labels(base=case.base, ours=case.ours, theirs=case.theirs)
    return merge_trees(objects, base, ours, theirs, MergeOptions(labels=labels))


def judge(case: Case, result: MergeResult) -> str:
    """How a result relates to git's."""
    verdict = "clean" if result.clean else "conflict"
    if verdict != case.verdict:
        return f"{verdict} here, {case.verdict} in git"
    if verdict == "clean":
        return "same tree" if result.tree.decode() == case.answer else "different tree"
    paths = {conflict.path.decode("utf-8", "surrogateescape") for conflict in result.conflicts}
    return "same paths" if paths == set(case.answer.split(" | ")) else "different paths"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", type=Path)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--show", type=int, default=5, help="so many examples of each disagreement")
    parser.add_argument("--repeat", type=int, default=1, help="take the best time of so many rounds")
    parser.add_argument("--limit", type=int, default=None, help="only the first so many cases")
    parser.add_argument(
        "--verdict", choices=("clean", "conflict"), help="only cases with this verdict of git's"
    )
    arguments = parser.parse_args()

    cases = [case for case in read_cases(arguments.cases) if arguments.verdict in (None, case.verdict)]
    cases = cases[: arguments.limit]
    best = float("inf")
    results: list[MergeResult] = []
    with Repo(str(arguments.repository)) as repo:
        for _ in range(arguments.repeat):
            objects = Objects(repo.object_store)
            begun = time.process_time()
            results = [run(objects, case) for case in cases]
            best = min(best, time.process_time() - begun)

    judged = [judge(case, result) for case, result in zip(cases, results, strict=True)]
    counts = Counter(judged)
    same = counts["same tree"] + counts["different tree"] + counts["same paths"] + counts["different paths"]
    print(f"{len(cases)} cases in {best:.2f} s of processor time ({len(cases) / best:.0f}/s)")
    print(f"same verdict: {same} ({100 * same / len(cases):.2f} %)")
    for kind, count in counts.most_common():
        print(f"  {count:6} {kind}")
    for kind in sorted(counts.keys() - {"same tree", "same paths"}):
        examples = [n for n, judgement in enumerate(judged) if judgement == kind][: arguments.show]
        for n in examples:
            print(f"\n{kind}: case {n} {b' '.join(cases[n][:3]).decode()}\n  git: {cases[n].answer}")
            for conflict in results[n].conflicts:
                print(f"  here: {conflict.kind} {conflict.path.decode('utf-8', 'backslashreplace')}")


if __name__ == "__main__":
    main()
