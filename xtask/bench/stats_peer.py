"""Peers of `viaduct-stats` on the same data: prints seconds and ratios.

    cargo bench -p viaduct-stats --bench stats > stats.json
    python xtask/bench/stats_peer.py stats.json

Packages that are not installed are named and left out. Both sides use the generator of the reference
cases (`lcg_big`), so they see the same values; imports and the making of data are not timed.
"""

import json
import sys
import time

import numpy as np


def values(seed, n, shift):
    """The generator of the reference cases, vectorised by jumping ahead."""
    a, c, m = 6364136223846793005, 1442695040888963407, 1 << 64
    x = (seed * 2862933555777941757 + 3037000493) % m
    count = 12 * n
    out = np.empty(count, dtype=np.uint64)
    block = 4096
    head = []
    for _ in range(min(block, count)):
        x = (x * a + c) % m
        head.append(x)
    out[: len(head)] = np.array(head, dtype=np.uint64)
    jump_a, jump_c = 1, 0
    for _ in range(block):
        jump_a, jump_c = (jump_a * a) % m, (jump_c * a + c) % m
    with np.errstate(over="ignore"):
        for start in range(block, count, block):
            end = min(start + block, count)
            before = out[start - block : start - block + (end - start)]
            out[start:end] = before * np.uint64(jump_a) + np.uint64(jump_c)
    uniform = (out >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return shift + uniform.reshape(n, 12).sum(axis=1) - 6.0


def seconds(runs, work):
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def peers(reference, current):
    """Yields (name of our figure, package, work)."""
    small, other = reference[:100_000], current[:100_000]
    try:
        from scipy import stats

        yield "welch_1m", "scipy", 3, lambda: stats.ttest_ind(current, reference, equal_var=False)
        yield "ks_wasserstein_energy_100k", "scipy", 2, lambda: (
            stats.ks_2samp(small, other),
            stats.wasserstein_distance(small, other),
            stats.energy_distance(small, other),
        )
    except ImportError as error:
        print(f"scipy is left out: {error}")
    try:
        from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
        from gbstats.models.statistics import SampleMeanStatistic

        def sequential():
            arms = [
                SampleMeanStatistic(n=len(x), sum=float(x.sum()), sum_squares=float((x * x).sum()))
                for x in (reference, current)
            ]
            config = SequentialConfig(sequential_tuning_parameter=5000, difference_type="absolute")
            SequentialTwoSidedTTest(arms[0], arms[1], config).compute_result()

        yield "sequential_1m", "gbstats", 3, sequential
    except ImportError as error:
        print(f"gbstats is left out: {error}")
    try:
        import pandas as pd
        from evidently.legacy.calculations.stattests import (
            jensenshannon_stat_test,
            psi_stat_test,
        )
        from evidently.legacy.core import ColumnType

        ref, cur = pd.Series(small), pd.Series(other)
        yield "evidently_psi_js_100k", "evidently", 2, lambda: (
            psi_stat_test(ref, cur, ColumnType.Numerical, None),
            jensenshannon_stat_test(ref, cur, ColumnType.Numerical, None),
        )
    except ImportError as error:
        print(f"evidently is left out: {error}")
    try:
        import logging

        import nannyml
        import pandas as pd

        logging.disable(logging.CRITICAL)

        def univariate():
            calculator = nannyml.UnivariateDriftCalculator(
                column_names=["x"],
                continuous_methods=[
                    "kolmogorov_smirnov", "jensen_shannon", "wasserstein", "hellinger",
                ],
                chunk_size=len(other),
            )
            calculator.fit(pd.DataFrame({"x": small}))
            calculator.calculate(pd.DataFrame({"x": other}))

        yield "nannyml_univariate_100k", "nannyml", 1, univariate
        p = 1 / (1 + np.exp(-small))
        frame = pd.DataFrame({"p": p, "y": (p > 1 / (1 + np.exp(-other))).astype(int)})
        frame["yp"] = (frame.p >= 0.5).astype(int)

        def cbpe():
            estimator = nannyml.CBPE(
                y_pred_proba="p", y_pred="yp", y_true="y", problem_type="classification_binary",
                metrics=[
                    "roc_auc", "f1", "precision", "recall", "specificity", "accuracy",
                    "average_precision", "confusion_matrix",
                ],
                chunk_size=5000,
            )
            estimator.fit(frame)
            estimator.estimate(frame)

        yield "cbpe_100k", "nannyml", 1, cbpe
    except ImportError as error:
        print(f"nannyml is left out: {error}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        ours = json.load(file)
    reference, current = values(77, 1_000_000, 0.0), values(78, 1_000_000, 0.2)
    # The first values that the reference cases name.
    assert np.allclose(reference[:2], [0.03461949174615864, 0.722442841660845])
    for name, package, runs, work in peers(reference, current):
        took = seconds(runs, work)
        ratio = took / ours[name]
        print(f"{name:28} {package:10} {took:10.4f} s   ours {ours[name]:.4f} s   {ratio:8.1f} x")
    print(f"counter: {ours['counter_1m'] * 1e3:.2f} ns a value")


if __name__ == "__main__":
    main()
