"""The OpenAI Agents SDK for Python, on `/v1/responses` (its default) or `/v1/chat/completions`."""

import agents
import openai
from harness import DIALECT, GATEWAY, MODEL, RED_PNG, TOKEN, main, see, weather
from pydantic import BaseModel

# Else it sends traces to a service of its own.
agents.set_tracing_disabled(True)

client = openai.AsyncOpenAI(base_url=f"{GATEWAY}/v1", api_key=TOKEN, max_retries=0)
kind = {"responses": agents.OpenAIResponsesModel, "chat": agents.OpenAIChatCompletionsModel}[DIALECT]
model = kind(model=MODEL, openai_client=client)


class City(BaseModel):
    name: str
    people: int


@agents.function_tool(name_override="weather")
def look(city: str) -> str:
    """Tells the weather."""
    see(call="weather", arguments={"city": city})
    return weather(city)


def agent(**settings):
    return agents.Agent(name="Tester", model=model, **settings)


def usage(result):
    used = result.context_wrapper.usage
    return {
        "input": used.input_tokens,
        "cached": used.input_tokens_details.cached_tokens,
        "output": used.output_tokens,
    }


async def text():
    result = await agents.Runner.run(agent(instructions="Be brief."), "Say hello.")
    see(text=result.final_output, stop=None, usage=usage(result))


async def stream():
    pieces = []
    settings = agents.ModelSettings(include_usage=True)
    result = agents.Runner.run_streamed(agent(instructions="Be brief.", model_settings=settings), "Say hello.")
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            if event.data.delta:
                pieces.append(event.data.delta)
    see(pieces=pieces, text=result.final_output, stop=None, usage=usage(result))


async def parse():
    result = await agents.Runner.run(agent(output_type=City), "Where is the opera?")
    see(parsed=result.final_output.model_dump(), type=type(result.final_output).__name__)


async def tools():
    result = agents.Runner.run_streamed(agent(tools=[look]), "How is the weather in Oslo and in Rome?")
    async for _ in result.stream_events():
        pass
    see(text=result.final_output, stop=None)


async def image():
    part = {"type": "input_image", "image_url": f"data:image/png;base64,{RED_PNG}", "detail": "auto"}
    content = [{"type": "input_text", "text": "Which colour?"}, part]
    result = await agents.Runner.run(agent(), [{"role": "user", "content": content}])
    see(text=result.final_output)


main(text, stream, parse, tools, image)
