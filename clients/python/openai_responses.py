"""OpenAI's Python SDK on `/v1/responses`."""

import json

import openai
from harness import GATEWAY, MODEL, RED_PNG, TOKEN, WEATHER, main, see, see_error, weather
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

client = openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=TOKEN, max_retries=0)

TOOL = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}


class City(BaseModel):
    name: str
    people: int


def usage(response):
    used = response.usage
    return {
        "input": used.input_tokens,
        "cached": used.input_tokens_details.cached_tokens,
        "output": used.output_tokens,
    }


def text():
    response = client.responses.create(model=MODEL, instructions="Be brief.", input="Say hello.")
    see(text=response.output_text, stop=response.status, usage=usage(response))


def stream():
    pieces = []
    with client.responses.stream(model=MODEL, instructions="Be brief.", input="Say hello.") as events:
        for event in events:
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
        response = events.get_final_response()
    see(pieces=pieces, text=response.output_text, stop=response.status, usage=usage(response))


def parse():
    response = client.responses.parse(model=MODEL, input="Where is the opera?", text_format=City)
    see(parsed=response.output_parsed.model_dump(), type=type(response.output_parsed).__name__)


def tools():
    items = [{"role": "user", "content": "How is the weather in Oslo and in Rome?"}]
    with client.responses.stream(model=MODEL, input=items, tools=[TOOL], store=False) as events:
        response = events.until_done().get_final_response()
    items += [item.to_dict() for item in response.output]
    for call in response.output:
        if call.type == "function_call":
            city = json.loads(call.arguments)["city"]
            see(call=call.name, arguments={"city": city})
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": weather(city)})
    response = client.responses.create(model=MODEL, input=items, tools=[TOOL], store=False)
    see(text=response.output_text, stop=response.status)


def reasoning():
    items = [{"role": "user", "content": "Think first."}]
    settings = {"reasoning": {"effort": "high", "summary": "auto"}, "store": False}
    thoughts = []
    with client.responses.stream(model=MODEL, input=items, **settings) as events:
        for event in events:
            if event.type == "response.reasoning_summary_text.delta":
                thoughts.append(event.delta)
        response = events.get_final_response()
    [item] = [item for item in response.output if item.type == "reasoning"]
    see(thoughts=thoughts, reasoning=item.summary[0].text, text=response.output_text)
    see(reasoning_tokens=response.usage.output_tokens_details.reasoning_tokens)
    items += [item.to_dict() for item in response.output]
    items.append({"role": "user", "content": "And now?"})
    response = client.responses.create(model=MODEL, input=items, **settings)
    see(text=response.output_text)


def length():
    response = client.responses.create(model=MODEL, input="Count to a million.", max_output_tokens=64)
    see(text=response.output_text, stop=response.incomplete_details.reason)


def refusal():
    response = client.responses.create(model=MODEL, input="Do something bad.")
    [part] = response.output[-1].content
    see(kind=part.type, refusal=part.refusal)


def image():
    part = {"type": "input_image", "image_url": f"data:image/png;base64,{RED_PNG}", "detail": "auto"}
    content = [{"type": "input_text", "text": "Which colour?"}, part]
    response = client.responses.create(model=MODEL, input=[{"role": "user", "content": content}])
    see(text=response.output_text)


def odd():
    """A call that lacks what every client relies on, and text after it."""
    with client.responses.stream(model=MODEL, input="Look.", tools=[TOOL], store=False) as events:
        output = events.get_final_response().output
    [call] = [item for item in output if item.type == "function_call"]
    texts = [item.content[0].text for item in output if item.type == "message"]
    see(named=bool(call.call_id), arguments=call.arguments, text="".join(texts))


def empty():
    with client.responses.stream(model=MODEL, input="Say nothing.") as events:
        response = events.get_final_response()
    see(text=response.output_text, stop=response.status)


def cancel():
    events = client.responses.create(model=MODEL, input="Talk on.", stream=True)
    for event in events:
        if event.type == "response.output_text.delta":
            see(piece=event.delta)
            break
    events.close()
    see(text=client.responses.create(model=MODEL, input="Again.").output_text)


def cut():
    try:
        with client.responses.stream(model=MODEL, input="Talk on.") as events:
            for event in events:
                if event.type == "response.output_text.delta":
                    see(piece=event.delta)
            see(finished=events.get_final_response().status)
    except openai.APIError as error:
        see(broken=error.message)


def timeout():
    impatient = client.with_options(timeout=2)
    try:
        impatient.responses.create(model=MODEL, input="Take your time.")
    except openai.APITimeoutError as error:
        see(error=type(error).__name__)
    see(text=client.responses.create(model=MODEL, input="Again.").output_text)


def custom():
    """A tool that takes free text, and its result."""
    items = [{"role": "user", "content": "Run it."}]
    tools = [{"type": "custom", "name": "run", "description": "Runs a script."}]
    pieces = []
    with client.responses.stream(model=MODEL, input=items, tools=tools, store=False) as events:
        for event in events:
            if event.type == "response.custom_tool_call_input.delta":
                pieces.append(event.delta)
        response = events.get_final_response()
    call = response.output[-1]
    see(kind=call.type, call=call.name, input=call.input, streamed="".join(pieces))
    items += [item.to_dict() for item in response.output]
    items.append({"type": "custom_tool_call_output", "call_id": call.call_id, "output": "ok"})
    see(text=client.responses.create(model=MODEL, input=items, tools=tools, store=False).output_text)


def schema():
    """Each event, against the types that this version of the SDK declares."""
    events = client.responses.create(model=MODEL, input="Think, say, call.", tools=[TOOL], stream=True)
    check = TypeAdapter(ResponseStreamEvent)
    kinds = []
    for number, event in enumerate(events):
        data = event.to_dict(mode="json")
        check.validate_python(data)
        if data["sequence_number"] != number:
            see(wrong=data)
        kinds.append(event.type)
    see(kinds=list(dict.fromkeys(kinds)))
    body = client.responses.create(model=MODEL, input="Think, say, call.", tools=[TOOL])
    Response.model_validate(body.to_dict(mode="json"))
    see(items=[item.type for item in body.output])


def errors():
    for prompt in ["wrong key", "slow down", "too long", "bad parameter"]:
        try:
            client.responses.create(model=MODEL, input=prompt)
        except openai.APIError as error:
            see_error(error)


def refused():
    """What the gateway itself refuses."""
    stranger = client.with_options(api_key="pw-somebody-else")
    for asked, changes in [(stranger, {}), (client, {"input": 42}), (client, {"extra_body": {"stream": "yes"}})]:
        try:
            asked.responses.create(**{"model": MODEL, "input": "hi", **changes})
        except openai.APIError as error:
            see_error(error)


def stored():
    """Conversations that the server remembers."""
    first = client.responses.create(model=MODEL, instructions="Be brief.", input="Say hello.")
    second = client.responses.create(model=MODEL, input="And now?", previous_response_id=first.id)
    see(text=second.output_text)
    see(retrieved=client.responses.retrieve(second.id).output_text)
    see(items=[item.type for item in client.responses.input_items.list(second.id, order="asc")])
    client.responses.delete(first.id)
    for unknown in [first.id, "resp_nobody"]:
        try:
            client.responses.retrieve(unknown)
        except openai.APIError as error:
            see_error(error)
    try:
        client.responses.create(model=MODEL, input="And now?", previous_response_id="resp_nobody")
    except openai.APIError as error:
        see_error(error)


def socket():
    """Several turns on one WebSocket, the second going on from the first though nothing is stored."""
    previous = {}
    with client.responses.connect() as connection:
        for question in ["Say hello.", "And now?"]:
            connection.response.create(model=MODEL, input=question, store=False, **previous)
            pieces = []
            for event in connection:
                if event.type == "response.output_text.delta":
                    pieces.append(event.delta)
                if event.type in ("response.completed", "response.failed", "error"):
                    break
            see(kind=event.type, text="".join(pieces))
            previous = {"previous_response_id": event.response.id}
        connection.response.create(model=MODEL, input="?", store=False, previous_response_id="resp_nobody")
        event = connection.recv()
        see(kind=event.type, code=event.error.code)


def counted():
    counted = client.responses.input_tokens.count(model=MODEL, input="Say hello.")
    see(kind=counted.object, counted=counted.input_tokens > 0)


def models():
    see(models=sorted(model.id for model in client.models.list()))


main(
    text, stream, parse, tools, reasoning, length, refusal, image, odd, empty, cancel, cut, timeout, custom, schema, errors, refused, stored, socket, counted, models
)
