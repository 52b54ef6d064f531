"""ML Reactor: the app behind the doors of `function_app.py`.

    bytes ─▶ parse ─▶ Event ─▶ rules.match ─▶ Actions ─▶ [actions queue] ─▶ performer ─▶ handlers ─▶ clients ─▶ Azure
                                    ▲                                           │ admission
                                    └───────── outcome Event ◀─── settle ◀──────┘

    people  ─▶ api ─▶ history     what happened, and why
                  └─▶ decisions   a flag in an action's record, which the performer reads

Start with `reactor`. Then, in the order of the flow:

    wiring      settings, storage, clients and the reactor put together, lazily
    parse       from the wire to an `events.Event`
    rules       the file of rules: load, match, explain, templates; `policy` is what it says of limits and the like
    planner     an event becomes a recorded plan and its `actions.Action`s; `correlation` tells what it calls off
    performer   an action moves by one stage: `stages` runs it, `settle` decides what follows, `ledger` writes it
    admission   whether it may begin: pauses, expectations, and what `limits` decides by the slots in storage
    handlers    what each step does, stage by stage
    clients     Azure's services, over REST; `answers` says what an answer means
    outcomes    what an action tells as an event, which is planned like any other
    decisions   what people decide: approve, reject, cancel, replay
    history     what happened, listed by time, and explained by the rules of then
    api         the requests to `api/…`: by whom, and how every refusal is said
    storage     records, timeline, slots, queues, backups, the rules with their versions, pauses
    errors      the two words that decide everything
"""
