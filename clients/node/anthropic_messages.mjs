// Anthropic's Node SDK on `/v1/messages`.

import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import { GATEWAY, MODEL, RED_PNG, TOKEN, WEATHER, main, see, seeError, weather } from './harness.mjs';

const client = new Anthropic({ baseURL: GATEWAY, authToken: TOKEN, apiKey: null, maxRetries: 0 });

const TOOL = { name: 'weather', input_schema: WEATHER };
const City = z.object({ name: z.string(), people: z.number().int() });

const user = (content) => ({ role: 'user', content });
const SETTINGS = { model: MODEL, max_tokens: 1000 };
const GREETING = { ...SETTINGS, system: 'Be brief.', messages: [user('Say hello.')] };

const ask = (content, settings = {}, options = {}) =>
  client.messages.create({ ...SETTINGS, messages: [user(content)], ...settings }, options);

const textOf = (message) =>
  message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');

/** In the words of the other dialects: all of the input, cached or not. */
function usage({ usage }) {
  const cached = usage.cache_read_input_tokens;
  return { input: usage.input_tokens + cached, cached, output: usage.output_tokens };
}

async function text() {
  const message = await client.messages.create(GREETING);
  see({ text: textOf(message), stop: message.stop_reason, usage: usage(message) });
}

async function stream() {
  const pieces = [];
  const events = client.messages.stream(GREETING);
  events.on('text', (piece) => pieces.push(piece));
  const message = await events.finalMessage();
  see({ pieces, text: textOf(message), stop: message.stop_reason, usage: usage(message) });
}

async function parse() {
  const message = await client.messages.parse({
    ...SETTINGS,
    messages: [user('Where is the opera?')],
    output_config: { format: zodOutputFormat(City) },
  });
  see({ parsed: message.parsed_output, type: 'City' });
}

async function tools() {
  const messages = [user('How is the weather in Oslo and in Rome?')];
  const settings = { ...SETTINGS, tools: [TOOL] };
  const first = await client.messages.stream({ ...settings, messages }).finalMessage();
  const results = [];
  for (const block of first.content.filter((block) => block.type === 'tool_use')) {
    see({ call: block.name, arguments: block.input });
    results.push({ type: 'tool_result', tool_use_id: block.id, content: weather(block.input.city) });
  }
  messages.push({ role: 'assistant', content: first.content }, user(results));
  const second = await client.messages.create({ ...settings, messages });
  see({ text: textOf(second), stop: second.stop_reason });
}

/** The helper that runs the tools itself; it begins with a thread, which a server may decline. */
async function runner() {
  const look = betaTool({
    name: 'weather',
    description: 'Tells the weather.',
    inputSchema: WEATHER,
    run: ({ city }) => {
      see({ call: 'weather', arguments: { city } });
      return weather(city);
    },
  });
  const messages = [user('How is the weather in Oslo and in Rome?')];
  const settings = { ...SETTINGS, thinking: { type: 'adaptive' } };
  const message = await client.beta.messages.toolRunner({ ...settings, messages, tools: [look] });
  see({ text: textOf(message), stop: message.stop_reason });
}

async function reasoning() {
  const messages = [user('Think first.')];
  const settings = { model: MODEL, max_tokens: 4000, thinking: { type: 'enabled', budget_tokens: 2000 } };
  const thoughts = [];
  const events = client.messages.stream({ ...settings, messages });
  events.on('thinking', (piece) => thoughts.push(piece));
  const first = await events.finalMessage();
  const [block] = first.content;
  see({ thoughts, reasoning: block.thinking, text: textOf(first) });
  see({ signed: typeof block.signature === 'string' && block.signature !== '' });
  messages.push({ role: 'assistant', content: first.content }, user('And now?'));
  see({ text: textOf(await client.messages.create({ ...settings, messages })) });
}

async function length() {
  const message = await ask('Count to a million.', { max_tokens: 64 });
  see({ text: textOf(message), stop: message.stop_reason });
}

async function refusal() {
  const message = await ask('Do something bad.');
  see({ kind: message.stop_reason, refusal: textOf(message) });
}

async function image() {
  const source = { type: 'base64', media_type: 'image/png', data: RED_PNG };
  const message = await ask([{ type: 'text', text: 'Which colour?' }, { type: 'image', source }]);
  see({ text: textOf(message) });
}

/** A call that lacks what every client relies on, and text after it. */
async function odd() {
  const settings = { ...SETTINGS, messages: [user('Look.')], tools: [TOOL] };
  const message = await client.messages.stream(settings).finalMessage();
  const [call] = message.content.filter((block) => block.type === 'tool_use');
  see({ named: Boolean(call.id), arguments: JSON.stringify(call.input), text: textOf(message) });
}

async function empty() {
  const message = await client.messages.stream({ ...SETTINGS, messages: [user('Say nothing.')] }).finalMessage();
  see({ text: textOf(message), stop: message.stop_reason });
}

async function cancel() {
  for await (const event of await ask('Talk on.', { stream: true })) {
    if (event.type === 'content_block_delta') {
      see({ piece: event.delta.text });
      break;
    }
  }
  see({ text: textOf(await ask('Again.')) });
}

async function cut() {
  const events = client.messages.stream({ ...SETTINGS, messages: [user('Talk on.')] });
  events.on('text', (piece) => see({ piece }));
  await events.finalMessage().then(
    (message) => see({ finished: message.stop_reason }),
    (error) => see({ broken: error.error?.error?.message ?? error.message }),
  );
}

async function timeout() {
  await ask('Take your time.', {}, { timeout: 2000 }).catch((error) =>
    see({ error: error.constructor.name.replace('Connection', '') }),
  );
  see({ text: textOf(await ask('Again.')) });
}

async function errors() {
  for (const prompt of ['wrong key', 'slow down', 'too long', 'bad parameter']) {
    await ask(prompt).catch(seeError);
  }
}

/** What the gateway itself refuses. */
async function refused() {
  const body = { ...SETTINGS, messages: [user('hi')] };
  await client.withOptions({ authToken: 'pw-somebody-else' }).messages.create(body).catch(seeError);
  await client.messages.create({ ...body, temperature: 'hot' }).catch(seeError);
  await client.messages.create({ ...body, stream: 'yes' }).catch(seeError);
}

async function count() {
  const { max_tokens: _, ...body } = GREETING;
  const counted = await client.messages.countTokens(body);
  see({ counted: counted.input_tokens > 0 });
}

async function models() {
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  see({ models: models.sort() });
}

await main({
  text, stream, parse, tools, runner, reasoning, length, refusal, image, odd, empty, cancel, cut, timeout, errors, refused, count, models,
});
