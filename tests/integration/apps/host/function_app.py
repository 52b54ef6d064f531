"""A function app that the tests of the local host drive: it writes what it was told into the file SEEN."""

import json
import os
import time
from pathlib import Path
from typing import Any

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def saw(function: str, **facts: Any) -> None:
    """Append one line; a short append is whole, whoever else writes."""
    with Path(os.environ["SEEN"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"function": function, "pid": os.getpid(), **facts}) + "\n")


@app.queue_trigger(arg_name="message", queue_name="%WORK_QUEUE%", connection="AzureWebJobsStorage")
def on_work(message: func.QueueMessage) -> None:
    """Do as the message says: sleep so many seconds, fail up to so many times."""
    order = json.loads(message.get_body())
    saw("on_work", id=message.id, attempt=message.dequeue_count, order=order, at=time.time())
    time.sleep(order.get("sleep", 0))
    if (message.dequeue_count or 0) <= order.get("fail", 0):
        raise ValueError(order.get("why", "told to fail"))
    saw("worked", id=message.id, order=order, at=time.time())


@app.queue_trigger(arg_name="message", queue_name="%WORK_QUEUE%-poison", connection="AzureWebJobsStorage")
def on_poisoned_work(message: func.QueueMessage) -> None:
    """Note a message that was given up on."""
    saw("on_poisoned_work", attempt=message.dequeue_count, body=message.get_body().decode())
    if "poison door fails" in message.get_body().decode():
        raise ValueError("told to fail")


@app.event_grid_trigger(arg_name="event")
def on_event(event: str) -> None:
    """Note an event, and fail where its data says so."""
    saw("on_event", event=event)
    data = json.loads(event).get("data") or {}
    time.sleep(data.get("sleep", 0))
    if why := data.get("fail"):
        raise ValueError(why)


@app.event_grid_trigger(arg_name="event")
async def on_event_async(event: func.EventGridEvent) -> None:
    """Note an event, taken as the library's own type."""
    saw("on_event_async", id=event.id, data=event.get_json())


@app.timer_trigger(arg_name="timer", schedule="%TICK%")
def on_tick(timer: func.TimerRequest) -> None:
    """Note that time passes."""
    saw("on_tick", past_due=timer.past_due, at=time.time())


@app.route("things/{id}", methods=["GET", "POST"])
def things(req: func.HttpRequest) -> func.HttpResponse:
    """Say back what was asked."""
    if "fail" in req.params:
        raise ValueError("told to fail")
    heard = {
        "id": req.route_params["id"],
        "params": dict(req.params),
        "header": req.headers.get("x-test"),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(heard), status_code=201, mimetype="application/json", headers={"x-was": "here"})
