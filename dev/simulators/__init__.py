"""Azure services on a laptop, simulated at the wire: what each one answers, refuses and forgets.

`python -m dev.simulators` serves each of them on a port of its own; README.md says how to use them.

    wire.py        requests, answers, routing, the controls that every simulator has
    faults.py      what can be made to go wrong
    requests_log.py  what was asked, without secrets
    server.py      https, keep-alive, dropped connections
    tokens.py      bearer tokens that carry their audience, and who checks them
    identity.py    the managed-identity endpoint of App Service
    management/    ARM: Machine Learning and Data Factory
    vision/        Custom Vision: training and prediction
    language/      Language: conversational language understanding, authoring and runtime
    channels/      Teams, Slack, signed webhooks, Communication Services mail, SMTP
    event_grid/    a delivering Event Grid, and a custom topic
    remote.py      a small client for tests and the demo: seed, break, look, reset
"""
