"""LangChain, with its package for each of the three dialects."""

from harness import DIALECT, GATEWAY, MODEL, RED_PNG, TOKEN, main, see, weather
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel


def make_model(**settings):
    if DIALECT == "messages":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(model=MODEL, base_url=GATEWAY, api_key=TOKEN, max_retries=0, **settings)
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=MODEL,
        base_url=f"{GATEWAY}/v1",
        api_key=TOKEN,
        max_retries=0,
        stream_usage=True,
        use_responses_api=DIALECT == "responses",
        **settings,
    )


model = make_model()
GREETING = [SystemMessage("Be brief."), HumanMessage("Say hello.")]


class City(BaseModel):
    name: str
    people: int


@tool("weather")
def look(city: str) -> str:
    """Tells the weather."""
    see(call="weather", arguments={"city": city})
    return weather(city)


def usage(message):
    used = message.usage_metadata
    return {
        "input": used["input_tokens"],
        "cached": used["input_token_details"]["cache_read"],
        "output": used["output_tokens"],
    }


def text():
    message = model.invoke(GREETING)
    see(text=message.text, stop=None, usage=usage(message))


def stream():
    pieces, whole = [], None
    for chunk in model.stream(GREETING):
        if chunk.text:
            pieces.append(chunk.text)
        whole = chunk if whole is None else whole + chunk
    see(pieces=pieces, text=whole.text, stop=None, usage=usage(whole))


def parse():
    city = model.with_structured_output(City, method="json_schema").invoke("Where is the opera?")
    see(parsed=city.model_dump(), type=type(city).__name__)


def tools():
    able = model.bind_tools([look])
    messages = [HumanMessage("How is the weather in Oslo and in Rome?")]
    whole = None
    for chunk in able.stream(messages):
        whole = chunk if whole is None else whole + chunk
    messages.append(whole)
    for call in whole.tool_calls:
        messages.append(ToolMessage(look.invoke(call["args"]), tool_call_id=call["id"]))
    see(text=able.invoke(messages).text, stop=None)


def image():
    part = {"type": "image", "base64": RED_PNG, "mime_type": "image/png"}
    message = model.invoke([HumanMessage([{"type": "text", "text": "Which colour?"}, part])])
    see(text=message.text)


main(text, stream, parse, tools, image)
