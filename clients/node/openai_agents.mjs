// The OpenAI Agents SDK for JavaScript, on `/v1/responses` (its default) or `/v1/chat/completions`.

import {
  Agent,
  OpenAIChatCompletionsModel,
  OpenAIResponsesModel,
  run,
  setTracingDisabled,
  tool,
} from '@openai/agents';
import OpenAI from 'openai';
import { z } from 'zod';
import { DIALECT, GATEWAY, MODEL, RED_PNG, TOKEN, main, see, weather } from './harness.mjs';

// Else it sends traces to a service of its own.
setTracingDisabled(true);

const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: TOKEN, maxRetries: 0 });
const kind = { responses: OpenAIResponsesModel, chat: OpenAIChatCompletionsModel }[DIALECT];
const model = new kind(client, MODEL);
const agent = (settings) => new Agent({ name: 'Tester', model, ...settings });

const City = z.object({ name: z.string(), people: z.number().int() });

const look = tool({
  name: 'weather',
  description: 'Tells the weather.',
  parameters: z.object({ city: z.string() }),
  execute: ({ city }) => {
    see({ call: 'weather', arguments: { city } });
    return weather(city);
  },
});

function usage({ usage }) {
  const cached = usage.inputTokensDetails.reduce((sum, details) => sum + (details.cached_tokens ?? 0), 0);
  return { input: usage.inputTokens, cached, output: usage.outputTokens };
}

async function text() {
  const result = await run(agent({ instructions: 'Be brief.' }), 'Say hello.');
  see({ text: result.finalOutput, stop: null, usage: usage(result.state) });
}

async function stream() {
  const pieces = [];
  const result = await run(agent({ instructions: 'Be brief.' }), 'Say hello.', { stream: true });
  for await (const event of result) {
    if (event.type === 'raw_model_stream_event' && event.data.type === 'output_text_delta') {
      if (event.data.delta) pieces.push(event.data.delta);
    }
  }
  await result.completed;
  see({ pieces, text: result.finalOutput, stop: null, usage: usage(result.state) });
}

async function parse() {
  const result = await run(agent({ outputType: City }), 'Where is the opera?');
  see({ parsed: result.finalOutput, type: 'City' });
}

async function tools() {
  const result = await run(agent({ tools: [look] }), 'How is the weather in Oslo and in Rome?', { stream: true });
  await result.completed;
  see({ text: result.finalOutput, stop: null });
}

async function image() {
  const content = [
    { type: 'input_text', text: 'Which colour?' },
    { type: 'input_image', image: `data:image/png;base64,${RED_PNG}` },
  ];
  const result = await run(agent({}), [{ role: 'user', content }]);
  see({ text: result.finalOutput });
}

await main({ text, stream, parse, tools, image });
