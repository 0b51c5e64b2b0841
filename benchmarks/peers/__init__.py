"""p2pslinger beside what people would pick instead, in one run on one machine.

    make bench-peers

Everyone gets two worker processes and is used as its own documentation recommends; each
contender says how. Every measurement is made in a fresh process, contenders take turns,
and what is reported is the median of the rounds.

    __main__     rounds, idle watch, report
    contestant   the process in which one contender is measured once
    contender    what every contender can do; ours, pools, dask, ray, ipyparallel: how
    figures      which figures there are
    report, plot docs/benchmarks.md and docs/benchmarks.svg
"""
