"""What ML Reactor does, shown on this machine: `python -m dev.demo`, or `make demo`.

    play.py      the course of it
    rules.yaml   what the demo's reactor is told to do
    stories.py   what happens in the demo, and what must come of each
    stage.py     the stack that it happens on: play a story, tell it again, kill the host, start another
    ledger.py    what the reactor wrote down about it
    effects.py   what was done to the services
    costs.py     what the storage account was asked for, and its price
    report.py    how it looks on a terminal

The end-to-end tests play the same stories on the same stage.
"""
