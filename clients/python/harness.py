"""What the scripts share: where the gateway is, and how they tell what they see.

A script prints one JSON object a line, each an observation. The tests in `crates/cli/tests/clients_*.rs` compare them, so the
scripts of all clients use the same words for the same things.
"""

import asyncio
import inspect
import json
import os
import sys

GATEWAY = os.environ["POLYWIRE_URL"]
TOKEN = os.environ["POLYWIRE_TOKEN"]
MODEL = os.environ["POLYWIRE_MODEL"]
# For clients that speak several: `responses`, `chat` or `messages`.
DIALECT = os.environ["POLYWIRE_DIALECT"]

# A picture of four red pixels.
RED_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mM4IScHRAwQCgAfJgQRSo6NIAAAAABJRU5ErkJggg=="
)

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def weather(city):
    """The tool that the scripts offer."""
    return {"Oslo": "snow", "Rome": "sun"}.get(city, "unknown")


def see(**facts):
    """Tells one observation."""
    print(json.dumps(facts, ensure_ascii=False), flush=True)


def see_error(error):
    """Tells what the SDK made of an error: its class, and what it read from the answer."""
    body = getattr(error, "body", None)
    # Anthropic's SDK keeps the whole body, OpenAI's only what is inside `error`.
    body = body if isinstance(body, dict) else {}
    inner = body.get("error", body)
    response = getattr(error, "response", None)
    see(
        error=type(error).__name__,
        status=getattr(error, "status_code", None),
        code=inner.get("code"),
        param=inner.get("param"),
        type=inner.get("type"),
        message=inner.get("message"),
        retry_after=response.headers.get("retry-after") if response is not None else None,
    )


def main(*scenarios):
    """Runs the scenarios that the command line names; of several it tells which one begins."""
    known = {scenario.__name__: scenario for scenario in scenarios}
    wanted = sys.argv[1:]
    # One for all: clients keep connections that belong to the loop in which they were made.
    loop = asyncio.new_event_loop()
    for name in wanted:
        if len(wanted) > 1:
            see(scenario=name)
        result = known[name]()
        if inspect.isawaitable(result):
            loop.run_until_complete(result)
    loop.close()
