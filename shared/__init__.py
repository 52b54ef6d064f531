"""ML Reactor: the app behind the doors of `function_app.py`.

    bytes ─▶ parse ─▶ Event ─▶ rules.match ─▶ Actions ─▶ [actions queue] ─▶ performer ─▶ handlers ─▶ clients ─▶ Azure
                                    ▲                                           │
                                    └───────── outcome Event ◀─── settle ◀──────┘

Start with `reactor`. Then, in the order of the flow:

    wiring      settings, storage, clients and the reactor put together, lazily
    parse       from the wire to an `events.Event`
    rules       the file of rules: load, match, explain, templates
    planner     an event becomes a recorded plan and its `actions.Action`s
    performer   an action moves by one stage: `stages` runs it, `settle` decides what follows, `ledger` writes it
    handlers    what each step does, stage by stage
    clients     Azure's services, over REST; `answers` says what an answer means
    storage     records, queues, backups, the rules file
    errors      the two words that decide everything
"""
