"""The doors, and nothing else: what Azure calls, and what is done about it in `shared`."""

import json

import azure.functions as func

from shared import wiring

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
STORAGE = "AzureWebJobsStorage"


@app.event_grid_trigger(arg_name="event")
def on_ml_event(event: str) -> None:
    """Take an Azure Machine Learning event that Event Grid delivers, in either schema."""
    wiring.reactor().receive("event_grid", event)


@app.queue_trigger(arg_name="msg", queue_name="ml-events", connection=STORAGE)
def on_ml_message(msg: func.QueueMessage) -> None:
    """Take the same event where the subscription delivers to a queue."""
    wiring.reactor().receive("event_grid", msg.get_body(), msg.insertion_time)


@app.queue_trigger(arg_name="msg", queue_name="vision-notifications", connection=STORAGE)
def on_vision_notification(msg: func.QueueMessage) -> None:
    """Take a Custom Vision notification: ConnectionTest, Training or Export."""
    wiring.reactor().receive("vision_notification", msg.get_body(), msg.insertion_time)


@app.queue_trigger(arg_name="msg", queue_name="actions", connection=STORAGE)
def on_action(msg: func.QueueMessage) -> None:
    """Perform one stage of one action."""
    wiring.reactor().perform(msg.get_body(), msg.id or "")


@app.queue_trigger(arg_name="msg", queue_name="ml-events-poison", connection=STORAGE)
def on_poisoned_ml_message(msg: func.QueueMessage) -> None:
    """Take an event that the host gave up on."""
    wiring.reactor().receive_poisoned("event_grid", "ml-events", msg.get_body(), msg.insertion_time)


@app.queue_trigger(arg_name="msg", queue_name="vision-notifications-poison", connection=STORAGE)
def on_poisoned_vision_notification(msg: func.QueueMessage) -> None:
    """Take a Custom Vision notification that the host gave up on."""
    wiring.reactor().receive_poisoned("vision_notification", "vision-notifications", msg.get_body(), msg.insertion_time)


@app.queue_trigger(arg_name="msg", queue_name="actions-poison", connection=STORAGE)
def on_poisoned_action(msg: func.QueueMessage) -> None:
    """End an action that the host gave up on, or have it tried again after an outage."""
    wiring.reactor().perform_poisoned(msg.get_body(), msg.id or "")


@app.timer_trigger(arg_name="timer", schedule="%REACTOR_SCHEDULE%")
def on_schedule(timer: func.TimerRequest) -> None:  # noqa: ARG001 # the worker passes it by this name
    """Wake what is overdue, finish what was left half done, forget what is old."""
    wiring.reactor().sweep()


@app.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 # the worker passes it by this name
    """Say that the app is alive and its settings complete."""
    report = wiring.health()
    status = 200 if report["status"] == "ok" else 503
    return func.HttpResponse(json.dumps(report), status_code=status, mimetype="application/json")


@app.route(route="events/{key?}/{verb?}", methods=["GET", "POST"])
def events(req: func.HttpRequest) -> func.HttpResponse:
    """List events, show one, or have a signed-in operator replay one."""
    reply = wiring.api().answer(
        req.method, "events", req.route_params, query=req.params, headers=req.headers, body=req.get_body()
    )
    return func.HttpResponse(reply.body, status_code=reply.status, headers=reply.headers)


@app.route(route="actions/{key?}/{verb?}", methods=["GET", "POST"])
def actions(req: func.HttpRequest) -> func.HttpResponse:
    """List actions, show one, or have a signed-in person decide about one."""
    reply = wiring.api().answer(
        req.method, "actions", req.route_params, query=req.params, headers=req.headers, body=req.get_body()
    )
    return func.HttpResponse(reply.body, status_code=reply.status, headers=reply.headers)
