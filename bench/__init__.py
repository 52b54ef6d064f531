"""The speed of the app against its bars, as ratios measured side by side in one run.

    samples    the rules and events that are measured: the same for us and for the peers
    peers      the same rules in the languages of other rule engines
    measure    rounds, ratios, the spread
    table      bars, rows, verdicts, and how they are printed
    rows       what is measured, one function for each bar: matching, starting, checking, backtesting, storing

docs/performance.md says how to read what it prints.
"""
