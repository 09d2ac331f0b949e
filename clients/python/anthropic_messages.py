"""Anthropic's Python SDK on `/v1/messages`."""

import json

import anthropic
from anthropic import beta_tool
from harness import GATEWAY, MODEL, RED_PNG, TOKEN, WEATHER, main, see, see_error, weather
from pydantic import BaseModel

client = anthropic.Anthropic(base_url=GATEWAY, auth_token=TOKEN, api_key=None, max_retries=0)

TOOL = {"name": "weather", "input_schema": WEATHER}
GREETING = {"system": "Be brief.", "messages": [{"role": "user", "content": "Say hello."}]}


class City(BaseModel):
    name: str
    people: int


def user(content):
    return {"role": "user", "content": content}


def ask(content, max_tokens=1000, **settings):
    return client.messages.create(model=MODEL, max_tokens=max_tokens, messages=[user(content)], **settings)


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def usage(message):
    """In the words of the other dialects: all of the input, cached or not."""
    used = message.usage
    cached = used.cache_read_input_tokens
    return {"input": used.input_tokens + cached, "cached": cached, "output": used.output_tokens}


def text():
    message = client.messages.create(model=MODEL, max_tokens=1000, **GREETING)
    see(text=text_of(message), stop=message.stop_reason, usage=usage(message))


def stream():
    with client.messages.stream(model=MODEL, max_tokens=1000, **GREETING) as events:
        pieces = list(events.text_stream)
        message = events.get_final_message()
    see(pieces=pieces, text=text_of(message), stop=message.stop_reason, usage=usage(message))


def parse():
    message = client.messages.parse(
        model=MODEL, max_tokens=1000, messages=[user("Where is the opera?")], output_format=City
    )
    parsed = message.parsed_output
    see(parsed=parsed.model_dump(), type=type(parsed).__name__)


def tools():
    messages = [user("How is the weather in Oslo and in Rome?")]
    settings = {"model": MODEL, "max_tokens": 1000, "tools": [TOOL]}
    with client.messages.stream(messages=messages, **settings) as events:
        message = events.get_final_message()
    results = []
    for block in message.content:
        if block.type == "tool_use":
            see(call=block.name, arguments=block.input)
            result = weather(block.input["city"])
            results.append({"type": "tool_result", "tool_use_id": block.id, "content": result})
    content = [block.to_dict() for block in message.content]
    messages += [{"role": "assistant", "content": content}, user(results)]
    message = client.messages.create(messages=messages, **settings)
    see(text=text_of(message), stop=message.stop_reason)


def runner():
    """The helper that runs the tools itself; it begins with a thread, which a server may decline."""

    @beta_tool(name="weather")
    def look(city: str) -> str:
        """Tells the weather.

        Args:
            city: Its name.
        """
        see(call="weather", arguments={"city": city})
        return weather(city)

    messages = [user("How is the weather in Oslo and in Rome?")]
    settings = {"model": MODEL, "max_tokens": 4000, "thinking": {"type": "adaptive"}}
    run = client.beta.messages.tool_runner(messages=messages, tools=[look], **settings)
    message = run.until_done()
    see(text=text_of(message), stop=message.stop_reason)


def reasoning():
    messages = [user("Think first.")]
    settings = {"model": MODEL, "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}}
    thoughts = []
    with client.messages.stream(messages=messages, **settings) as events:
        for event in events:
            if event.type == "thinking":
                thoughts.append(event.thinking)
        message = events.get_final_message()
    block = message.content[0]
    see(thoughts=thoughts, reasoning=block.thinking, text=text_of(message))
    see(signed=isinstance(block.signature, str) and block.signature != "")
    content = [block.to_dict() for block in message.content]
    messages += [{"role": "assistant", "content": content}, user("And now?")]
    see(text=text_of(client.messages.create(messages=messages, **settings)))


def length():
    message = ask("Count to a million.", max_tokens=64)
    see(text=text_of(message), stop=message.stop_reason)


def refusal():
    message = ask("Do something bad.")
    see(kind=message.stop_reason, refusal=text_of(message))


def image():
    source = {"type": "base64", "media_type": "image/png", "data": RED_PNG}
    message = ask([{"type": "text", "text": "Which colour?"}, {"type": "image", "source": source}])
    see(text=text_of(message))


def odd():
    """A call that lacks what every client relies on, and text after it."""
    with client.messages.stream(model=MODEL, max_tokens=1000, messages=[user("Look.")], tools=[TOOL]) as events:
        message = events.get_final_message()
    [call] = [block for block in message.content if block.type == "tool_use"]
    see(named=bool(call.id), arguments=json.dumps(call.input), text=text_of(message))


def empty():
    with client.messages.stream(model=MODEL, max_tokens=1000, messages=[user("Say nothing.")]) as events:
        message = events.get_final_message()
    see(text=text_of(message), stop=message.stop_reason)


def cancel():
    events = ask("Talk on.", stream=True)
    for event in events:
        if event.type == "content_block_delta":
            see(piece=event.delta.text)
            break
    events.close()
    see(text=text_of(ask("Again.")))


def cut():
    try:
        with client.messages.stream(model=MODEL, max_tokens=1000, messages=[user("Talk on.")]) as events:
            for piece in events.text_stream:
                see(piece=piece)
            see(finished=events.get_final_message().stop_reason)
    except anthropic.APIError as error:
        see(broken=error.body["error"]["message"])


def timeout():
    try:
        ask("Take your time.", timeout=2)
    except anthropic.APITimeoutError as error:
        see(error=type(error).__name__)
    see(text=text_of(ask("Again.")))


def errors():
    for prompt in ["wrong key", "slow down", "too long", "bad parameter"]:
        try:
            ask(prompt)
        except anthropic.APIError as error:
            see_error(error)


def refused():
    """What the gateway itself refuses."""
    stranger = client.with_options(auth_token="pw-somebody-else")
    body = {"model": MODEL, "max_tokens": 10, "messages": [user("hi")]}
    wrong = [{"temperature": "hot"}, {"stream": "yes"}]
    for asked, changes in [(stranger, {}), *((client, {"extra_body": extra}) for extra in wrong)]:
        try:
            asked.messages.create(**{**body, **changes})
        except anthropic.APIError as error:
            see_error(error)


def count():
    counted = client.messages.count_tokens(model=MODEL, **GREETING)
    see(counted=counted.input_tokens > 0)


def models():
    see(models=sorted(model.id for model in client.models.list()))


main(
    text, stream, parse, tools, runner, reasoning, length, refusal, image, odd, empty, cancel, cut, timeout, errors, refused, count, models
)
