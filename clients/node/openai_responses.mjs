// OpenAI's Node SDK on `/v1/responses`.

import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { z } from 'zod';
import { GATEWAY, MODEL, RED_PNG, TOKEN, WEATHER, main, see, seeError, weather } from './harness.mjs';

const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: TOKEN, maxRetries: 0 });

const TOOL = { type: 'function', name: 'weather', parameters: WEATHER, strict: true };
const City = z.object({ name: z.string(), people: z.number().int() });

const usage = ({ usage }) => ({
  input: usage.input_tokens,
  cached: usage.input_tokens_details.cached_tokens,
  output: usage.output_tokens,
});

async function text() {
  const response = await client.responses.create({ model: MODEL, instructions: 'Be brief.', input: 'Say hello.' });
  see({ text: response.output_text, stop: response.status, usage: usage(response) });
}

async function stream() {
  const pieces = [];
  const events = client.responses.stream({ model: MODEL, instructions: 'Be brief.', input: 'Say hello.' });
  events.on('response.output_text.delta', (event) => pieces.push(event.delta));
  const response = await events.finalResponse();
  see({ pieces, text: response.output_text, stop: response.status, usage: usage(response) });
}

async function parse() {
  const response = await client.responses.parse({
    model: MODEL,
    input: 'Where is the opera?',
    text: { format: zodTextFormat(City, 'City') },
  });
  see({ parsed: response.output_parsed, type: 'City' });
}

async function tools() {
  const input = [{ role: 'user', content: 'How is the weather in Oslo and in Rome?' }];
  const settings = { model: MODEL, tools: [TOOL], store: false };
  const first = await client.responses.stream({ ...settings, input }).finalResponse();
  input.push(...first.output);
  for (const call of first.output.filter((item) => item.type === 'function_call')) {
    const { city } = JSON.parse(call.arguments);
    see({ call: call.name, arguments: { city } });
    input.push({ type: 'function_call_output', call_id: call.call_id, output: weather(city) });
  }
  const second = await client.responses.create({ ...settings, input });
  see({ text: second.output_text, stop: second.status });
}

async function reasoning() {
  const input = [{ role: 'user', content: 'Think first.' }];
  const settings = { model: MODEL, reasoning: { effort: 'high', summary: 'auto' }, store: false };
  const thoughts = [];
  const events = client.responses.stream({ ...settings, input });
  events.on('response.reasoning_summary_text.delta', (event) => thoughts.push(event.delta));
  const first = await events.finalResponse();
  const [item] = first.output.filter((item) => item.type === 'reasoning');
  see({ thoughts, reasoning: item.summary[0].text, text: first.output_text });
  see({ reasoning_tokens: first.usage.output_tokens_details.reasoning_tokens });
  input.push(...first.output, { role: 'user', content: 'And now?' });
  const second = await client.responses.create({ ...settings, input });
  see({ text: second.output_text });
}

async function length() {
  const response = await client.responses.create({ model: MODEL, input: 'Count to a million.', max_output_tokens: 64 });
  see({ text: response.output_text, stop: response.incomplete_details.reason });
}

async function refusal() {
  const response = await client.responses.create({ model: MODEL, input: 'Do something bad.' });
  const [part] = response.output.at(-1).content;
  see({ kind: part.type, refusal: part.refusal });
}

async function image() {
  const part = { type: 'input_image', image_url: `data:image/png;base64,${RED_PNG}`, detail: 'auto' };
  const content = [{ type: 'input_text', text: 'Which colour?' }, part];
  const response = await client.responses.create({ model: MODEL, input: [{ role: 'user', content }] });
  see({ text: response.output_text });
}

/** A call that lacks what every client relies on, and text after it. */
async function odd() {
  const settings = { model: MODEL, input: 'Look.', tools: [TOOL], store: false };
  const { output } = await client.responses.stream(settings).finalResponse();
  const [call] = output.filter((item) => item.type === 'function_call');
  const texts = output.filter((item) => item.type === 'message').map((item) => item.content[0].text);
  see({ named: Boolean(call.call_id), arguments: call.arguments, text: texts.join('') });
}

async function empty() {
  const response = await client.responses.stream({ model: MODEL, input: 'Say nothing.' }).finalResponse();
  see({ text: response.output_text, stop: response.status });
}

async function cancel() {
  const events = await client.responses.create({ model: MODEL, input: 'Talk on.', stream: true });
  for await (const event of events) {
    if (event.type === 'response.output_text.delta') {
      see({ piece: event.delta });
      break;
    }
  }
  const response = await client.responses.create({ model: MODEL, input: 'Again.' });
  see({ text: response.output_text });
}

async function cut() {
  const events = client.responses.stream({ model: MODEL, input: 'Talk on.' });
  events.on('response.output_text.delta', (event) => see({ piece: event.delta }));
  await events.finalResponse().then(
    (response) => see({ finished: response.status }),
    (error) => see({ broken: error.error?.message ?? error.message }),
  );
}

async function timeout() {
  const impatient = client.withOptions({ timeout: 2000 });
  await impatient.responses
    .create({ model: MODEL, input: 'Take your time.' })
    .catch((error) => see({ error: error.constructor.name.replace('Connection', '') }));
  const response = await client.responses.create({ model: MODEL, input: 'Again.' });
  see({ text: response.output_text });
}

/** A tool that takes free text, and its result. */
async function custom() {
  const input = [{ role: 'user', content: 'Run it.' }];
  const settings = { model: MODEL, tools: [{ type: 'custom', name: 'run', description: 'Runs a script.' }], store: false };
  let streamed = '';
  const events = client.responses.stream({ ...settings, input });
  events.on('response.custom_tool_call_input.delta', (event) => (streamed += event.delta));
  const first = await events.finalResponse();
  const call = first.output.at(-1);
  see({ kind: call.type, call: call.name, input: call.input, streamed });
  input.push(...first.output, { type: 'custom_tool_call_output', call_id: call.call_id, output: 'ok' });
  const second = await client.responses.create({ ...settings, input });
  see({ text: second.output_text });
}

async function errors() {
  for (const input of ['wrong key', 'slow down', 'too long', 'bad parameter']) {
    await client.responses.create({ model: MODEL, input }).catch(seeError);
  }
}

/** What the gateway itself refuses. */
async function refused() {
  const stranger = client.withOptions({ apiKey: 'pw-somebody-else' });
  const body = { model: MODEL, input: 'hi' };
  await stranger.responses.create(body).catch(seeError);
  await client.responses.create({ ...body, input: 42 }).catch(seeError);
  await client.responses.create({ ...body, stream: 'yes' }).catch(seeError);
}

/** Conversations that the server remembers. */
async function stored() {
  const { responses } = client;
  const first = await responses.create({ model: MODEL, instructions: 'Be brief.', input: 'Say hello.' });
  const second = await responses.create({ model: MODEL, input: 'And now?', previous_response_id: first.id });
  see({ text: second.output_text });
  see({ retrieved: (await responses.retrieve(second.id)).output_text });
  const items = [];
  for await (const item of responses.inputItems.list(second.id, { order: 'asc' })) items.push(item.type);
  see({ items });
  await responses.delete(first.id);
  await responses.retrieve(first.id).catch(seeError);
  await responses.retrieve('resp_nobody').catch(seeError);
  await responses
    .create({ model: MODEL, input: 'And now?', previous_response_id: 'resp_nobody' })
    .catch(seeError);
}

/** Several turns on one WebSocket, the second going on from the first though nothing is stored. */
async function socket() {
  const connection = new ResponsesWS(client);
  const ends = ['response.completed', 'response.failed', 'error'];
  const events = connection.stream();
  const turn = async (body) => {
    connection.send({ type: 'response.create', model: MODEL, store: false, ...body });
    let text = '';
    for (;;) {
      const { value } = await events.next();
      if (value.type === 'error') return { ended: value.error.error ?? value.error, kind: 'error' };
      if (value.type !== 'message') continue;
      const event = value.message;
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (ends.includes(event.type)) return { ended: event, kind: event.type, text };
    }
  };
  let previous = {};
  for (const input of ['Say hello.', 'And now?']) {
    const { ended, kind, text } = await turn({ input, ...previous });
    see({ kind, text });
    previous = { previous_response_id: ended.response?.id };
  }
  const { ended, kind } = await turn({ input: '?', previous_response_id: 'resp_nobody' });
  see({ kind, code: ended.error?.code ?? ended.code });
  connection.close();
}

async function counted() {
  const { object, input_tokens } = await client.responses.inputTokens.count({ model: MODEL, input: 'Say hello.' });
  see({ kind: object, counted: input_tokens > 0 });
}

async function models() {
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  see({ models: models.sort() });
}

await main({
  text, stream, parse, tools, reasoning, length, refusal, image, odd, empty, cancel, cut, timeout, custom, errors, refused, stored, socket, counted, models,
});
