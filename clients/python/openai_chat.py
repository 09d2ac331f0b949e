"""OpenAI's Python SDK on `/v1/chat/completions`."""

import json

import openai
from harness import GATEWAY, MODEL, RED_PNG, TOKEN, WEATHER, main, see, see_error, weather
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=TOKEN, max_retries=0)

TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER, "strict": True}}


class City(BaseModel):
    name: str
    people: int


def user(content):
    return {"role": "user", "content": content}


GREETING = [{"role": "system", "content": "Be brief."}, user("Say hello.")]


def ask(content, **settings):
    return client.chat.completions.create(model=MODEL, messages=[user(content)], **settings)


def usage(completion):
    used = completion.usage
    return {
        "input": used.prompt_tokens,
        "cached": used.prompt_tokens_details.cached_tokens,
        "output": used.completion_tokens,
    }


def text():
    completion = client.chat.completions.create(model=MODEL, messages=GREETING)
    [choice] = completion.choices
    see(text=choice.message.content, stop=choice.finish_reason, usage=usage(completion))


def stream():
    pieces = []
    options = {"include_usage": True}
    with client.chat.completions.stream(model=MODEL, messages=GREETING, stream_options=options) as events:
        for event in events:
            # The first chunk carries the role, and may carry an empty piece of text.
            if event.type == "content.delta" and event.delta:
                pieces.append(event.delta)
        completion = events.get_final_completion()
    [choice] = completion.choices
    see(pieces=pieces, text=choice.message.content, stop=choice.finish_reason, usage=usage(completion))


def parse():
    messages = [user("Where is the opera?")]
    completion = client.chat.completions.parse(model=MODEL, messages=messages, response_format=City)
    parsed = completion.choices[0].message.parsed
    see(parsed=parsed.model_dump(), type=type(parsed).__name__)


def tools():
    messages = [user("How is the weather in Oslo and in Rome?")]
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=[TOOL]) as events:
        message = events.until_done().get_final_completion().choices[0].message
    messages.append(message.to_dict())
    for call in message.tool_calls:
        city = json.loads(call.function.arguments)["city"]
        see(call=call.function.name, arguments={"city": city})
        messages.append({"role": "tool", "tool_call_id": call.id, "content": weather(city)})
    [choice] = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices
    see(text=choice.message.content, stop=choice.finish_reason)


def reasoning():
    """The field `reasoning_content`, which the SDK keeps though its types do not name it."""
    messages = [user("Think first.")]
    thoughts = []
    options = {"include_usage": True}
    with client.chat.completions.stream(
        model=MODEL, messages=messages, reasoning_effort="high", stream_options=options
    ) as events:
        for event in events:
            if event.type == "chunk" and event.chunk.choices:
                extra = event.chunk.choices[0].delta.model_extra or {}
                if extra.get("reasoning_content"):
                    thoughts.append(extra["reasoning_content"])
        completion = events.get_final_completion()
    see(thoughts=thoughts, reasoning="".join(thoughts), text=completion.choices[0].message.content)
    see(reasoning_tokens=completion.usage.completion_tokens_details.reasoning_tokens)
    answer = {"role": "assistant", "content": completion.choices[0].message.content}
    messages += [{**answer, "reasoning_content": "".join(thoughts)}, user("And now?")]
    completion = client.chat.completions.create(model=MODEL, messages=messages, reasoning_effort="high")
    see(text=completion.choices[0].message.content)


def length():
    [choice] = ask("Count to a million.", max_completion_tokens=64).choices
    see(text=choice.message.content, stop=choice.finish_reason)


def refusal():
    message = ask("Do something bad.").choices[0].message
    see(kind="refusal" if message.content is None else "text", refusal=message.refusal)


def image():
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RED_PNG}"}}
    completion = ask([{"type": "text", "text": "Which colour?"}, part])
    see(text=completion.choices[0].message.content)


def odd():
    """A call that lacks what every client relies on, and text after it."""
    messages = [user("Look.")]
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=[TOOL]) as events:
        message = events.get_final_completion().choices[0].message
    [call] = message.tool_calls
    see(named=bool(call.id), arguments=call.function.arguments, text=message.content)


def empty():
    roles = []
    with client.chat.completions.stream(model=MODEL, messages=[user("Say nothing.")]) as events:
        for event in events:
            if event.type == "chunk" and event.chunk.choices:
                roles.append(event.chunk.choices[0].delta.role)
        [choice] = events.get_final_completion().choices
    if roles[0] != "assistant":
        see(roles=roles)
    see(text=choice.message.content or "", stop=choice.finish_reason)


def cancel():
    chunks = ask("Talk on.", stream=True)
    for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            see(piece=chunk.choices[0].delta.content)
            break
    chunks.close()
    see(text=ask("Again.").choices[0].message.content)


def cut():
    try:
        for chunk in ask("Talk on.", stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                see(piece=chunk.choices[0].delta.content)
        see(finished=True)
    except openai.APIError as error:
        see(broken=error.message)


def timeout():
    try:
        ask("Take your time.", timeout=2)
    except openai.APITimeoutError as error:
        see(error=type(error).__name__)
    see(text=ask("Again.").choices[0].message.content)


def errors():
    for prompt in ["wrong key", "slow down", "too long", "bad parameter"]:
        try:
            ask(prompt)
        except openai.APIError as error:
            see_error(error)


def refused():
    """What the gateway itself refuses."""
    stranger = client.with_options(api_key="pw-somebody-else")
    body = {"model": MODEL, "messages": [user("hi")]}
    for asked, changes in [(stranger, {}), (client, {"messages": 42}), (client, {"extra_body": {"stream": "yes"}})]:
        try:
            asked.chat.completions.create(**{**body, **changes})
        except openai.APIError as error:
            see_error(error)


main(text, stream, parse, tools, reasoning, length, refusal, image, odd, empty, cancel, cut, timeout, errors, refused)
