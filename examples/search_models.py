"""Find a classifier's best parameters with scikit-learn, the fits spread over the grid.

    pip install scikit-learn
    python examples/search_models.py --samples 2000

Two lines differ from a program for one machine: the import of the backend, and its
name in `parallel_config`.
"""

from __future__ import annotations

import argparse
import time

import joblib
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

import p2pslinger.compat.joblib  # noqa: F401  # makes the backend known

#: What is tried: every combination, with five folds each.
CHOICES = {"C": [0.1, 1, 10, 100], "gamma": [0.001, 0.01, 0.1, 1]}


def main() -> None:
    """Search, and say what was found."""
    parser = argparse.ArgumentParser(description="Search models on a grid.")
    parser.add_argument("--samples", type=int, default=1000, help="rows of data")
    samples = parser.parse_args().samples

    features, classes = make_classification(samples, n_informative=5, random_state=1)
    search = GridSearchCV(SVC(), CHOICES, cv=5)
    started = time.monotonic()
    with joblib.parallel_config(backend="p2pslinger"):
        search.fit(features, classes)
    print(f"{16 * 5} fits in {time.monotonic() - started:.1f} s")
    print(f"best: {search.best_params_}, right for {search.best_score_:.1%}")


if __name__ == "__main__":
    main()
