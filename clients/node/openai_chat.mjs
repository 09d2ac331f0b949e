// OpenAI's Node SDK on `/v1/chat/completions`.

import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { GATEWAY, MODEL, RED_PNG, TOKEN, WEATHER, main, see, seeError, weather } from './harness.mjs';

const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: TOKEN, maxRetries: 0 });
const { completions } = client.chat;

const TOOL = { type: 'function', function: { name: 'weather', parameters: WEATHER, strict: true } };
const City = z.object({ name: z.string(), people: z.number().int() });

const user = (content) => ({ role: 'user', content });
const GREETING = { model: MODEL, messages: [{ role: 'system', content: 'Be brief.' }, user('Say hello.')] };
const WITH_USAGE = { stream_options: { include_usage: true } };

const ask = (content, settings = {}, options = {}) =>
  completions.create({ model: MODEL, messages: [user(content)], ...settings }, options);

const usage = ({ usage }) => ({
  input: usage.prompt_tokens,
  cached: usage.prompt_tokens_details.cached_tokens,
  output: usage.completion_tokens,
});

async function text() {
  const completion = await completions.create(GREETING);
  const [choice] = completion.choices;
  see({ text: choice.message.content, stop: choice.finish_reason, usage: usage(completion) });
}

async function stream() {
  const pieces = [];
  const events = completions.stream({ ...GREETING, ...WITH_USAGE });
  // The first chunk carries the role, and may carry an empty piece of text.
  events.on('content', (piece) => piece && pieces.push(piece));
  const completion = await events.finalChatCompletion();
  const [choice] = completion.choices;
  see({ pieces, text: choice.message.content, stop: choice.finish_reason, usage: usage(completion) });
}

async function parse() {
  const completion = await completions.parse({
    model: MODEL,
    messages: [user('Where is the opera?')],
    response_format: zodResponseFormat(City, 'City'),
  });
  see({ parsed: completion.choices[0].message.parsed, type: 'City' });
}

/** Through the helper that runs the tools itself. */
async function tools() {
  const parse = (text) => JSON.parse(text);
  const run = ({ city }) => {
    see({ call: 'weather', arguments: { city } });
    return weather(city);
  };
  const tool = { type: 'function', function: { ...TOOL.function, function: run, parse } };
  const messages = [user('How is the weather in Oslo and in Rome?')];
  const runner = completions.runTools({ model: MODEL, messages, tools: [tool], stream: true });
  const [choice] = (await runner.finalChatCompletion()).choices;
  see({ text: choice.message.content, stop: choice.finish_reason });
}

/** The field `reasoning_content`, which the SDK passes on though its types do not name it. */
async function reasoning() {
  const messages = [user('Think first.')];
  const settings = { model: MODEL, reasoning_effort: 'high' };
  const thoughts = [];
  const events = completions.stream({ ...settings, ...WITH_USAGE, messages });
  events.on('chunk', (chunk) => {
    const thought = chunk.choices[0]?.delta.reasoning_content;
    if (thought) thoughts.push(thought);
  });
  const first = await events.finalChatCompletion();
  const { content } = first.choices[0].message;
  see({ thoughts, reasoning: thoughts.join(''), text: content });
  see({ reasoning_tokens: first.usage.completion_tokens_details.reasoning_tokens });
  messages.push({ role: 'assistant', content, reasoning_content: thoughts.join('') }, user('And now?'));
  const second = await completions.create({ ...settings, messages });
  see({ text: second.choices[0].message.content });
}

async function length() {
  const [choice] = (await ask('Count to a million.', { max_completion_tokens: 64 })).choices;
  see({ text: choice.message.content, stop: choice.finish_reason });
}

async function refusal() {
  const { message } = (await ask('Do something bad.')).choices[0];
  see({ kind: message.content === null ? 'refusal' : 'text', refusal: message.refusal });
}

async function image() {
  const part = { type: 'image_url', image_url: { url: `data:image/png;base64,${RED_PNG}` } };
  const completion = await ask([{ type: 'text', text: 'Which colour?' }, part]);
  see({ text: completion.choices[0].message.content });
}

/** A call that lacks what every client relies on, and text after it. */
async function odd() {
  const events = completions.stream({ model: MODEL, messages: [user('Look.')], tools: [TOOL] });
  const [{ message }] = (await events.finalChatCompletion()).choices;
  const [call] = message.tool_calls;
  see({ named: Boolean(call.id), arguments: call.function.arguments, text: message.content });
}

async function empty() {
  const events = completions.stream({ model: MODEL, messages: [user('Say nothing.')] });
  const roles = [];
  events.on('chunk', (chunk) => chunk.choices.length > 0 && roles.push(chunk.choices[0].delta.role));
  const [choice] = (await events.finalChatCompletion()).choices;
  if (roles[0] !== 'assistant') see({ roles });
  see({ text: choice.message.content ?? '', stop: choice.finish_reason });
}

async function cancel() {
  for await (const chunk of await ask('Talk on.', { stream: true })) {
    if (chunk.choices[0]?.delta.content) {
      see({ piece: chunk.choices[0].delta.content });
      break;
    }
  }
  see({ text: (await ask('Again.')).choices[0].message.content });
}

async function cut() {
  try {
    for await (const chunk of await ask('Talk on.', { stream: true })) {
      if (chunk.choices[0]?.delta.content) see({ piece: chunk.choices[0].delta.content });
    }
    see({ finished: true });
  } catch (error) {
    see({ broken: error.error?.message ?? error.message });
  }
}

async function timeout() {
  await ask('Take your time.', {}, { timeout: 2000 }).catch((error) =>
    see({ error: error.constructor.name.replace('Connection', '') }),
  );
  see({ text: (await ask('Again.')).choices[0].message.content });
}

async function errors() {
  for (const prompt of ['wrong key', 'slow down', 'too long', 'bad parameter']) {
    await ask(prompt).catch(seeError);
  }
}

/** What the gateway itself refuses. */
async function refused() {
  const body = { model: MODEL, messages: [user('hi')] };
  await client.withOptions({ apiKey: 'pw-somebody-else' }).chat.completions.create(body).catch(seeError);
  await completions.create({ ...body, messages: 42 }).catch(seeError);
  await completions.create({ ...body, stream: 'yes' }).catch(seeError);
}

await main({ text, stream, parse, tools, reasoning, length, refusal, image, odd, empty, cancel, cut, timeout, errors, refused });
