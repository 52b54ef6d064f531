"""A local Functions host: Microsoft's own worker code, with the host's polling loop, timers and webhook around it.

    settings   host.json and how a lease scales
    worker     indexes the app and invokes its functions (azure_functions_runtime)
    queues     the storage queue trigger
    timers     the timer trigger
    webhook    the Event Grid trigger
    http       the HTTP trigger, the admin API, and the server they all share

Facts: https://learn.microsoft.com/azure/azure-functions/functions-host-json and the source of the host and its
extensions, as the modules say.
"""
