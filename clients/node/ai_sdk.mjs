// The Vercel AI SDK, with the provider package for each of the three dialects.

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { Output, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { DIALECT, GATEWAY, MODEL, RED_PNG, TOKEN, main, see, weather } from './harness.mjs';

// Warnings go to the console otherwise, among the observations.
globalThis.AI_SDK_LOG_WARNINGS = false;

const baseURL = `${GATEWAY}/v1`;
const settings = { name: 'polywire', baseURL, includeUsage: true, supportsStructuredOutputs: true };
const model = {
  responses: () => createOpenAI({ baseURL, apiKey: TOKEN }).responses(MODEL),
  chat: () => createOpenAICompatible({ ...settings, apiKey: TOKEN }).chatModel(MODEL),
  messages: () => createAnthropic({ baseURL, authToken: TOKEN })(MODEL),
}[DIALECT]();
// Nothing is to be remembered by the server: whole items come back in the next request, not references to them.
// And a schema goes out as a schema: for models whose names it does not know, the Anthropic package would make it a tool.
const providerOptions = {
  openai: { store: false, include: ['reasoning.encrypted_content'] },
  anthropic: { structuredOutputMode: 'outputFormat' },
};
const common = { model, maxRetries: 0, providerOptions };
const GREETING = { ...common, system: 'Be brief.', prompt: 'Say hello.' };

const City = z.object({ name: z.string(), people: z.number().int() });

const look = tool({
  description: 'Tells the weather.',
  inputSchema: z.object({ city: z.string() }),
  execute: ({ city }) => {
    see({ call: 'weather', arguments: { city } });
    return weather(city);
  },
});

const usage = (usage) => ({
  input: usage.inputTokens,
  cached: usage.inputTokenDetails.cacheReadTokens,
  output: usage.outputTokens,
});

async function text() {
  const result = await generateText(GREETING);
  see({ text: result.text, stop: result.finishReason, usage: usage(result.usage) });
}

async function stream() {
  const pieces = [];
  const result = streamText(GREETING);
  for await (const piece of result.textStream) pieces.push(piece);
  see({ pieces, text: await result.text, stop: await result.finishReason, usage: usage(await result.usage) });
}

async function parse() {
  const output = Output.object({ schema: City, name: 'City' });
  const result = await generateText({ ...common, prompt: 'Where is the opera?', output });
  see({ parsed: result.output, type: 'City' });
}

async function tools(settings = common) {
  const prompt = 'How is the weather in Oslo and in Rome?';
  const onError = ({ error }) => see({ error: error.constructor.name, status: error.statusCode, message: error.message });
  const result = streamText({ ...settings, prompt, tools: { weather: look }, stopWhen: stepCountIs(3), onError });
  await result.consumeStream();
  see({ text: await result.text, stop: await result.finishReason });
}

/** The package's own default: the server remembers its answers, and the next request refers to them. */
const remembered = () => tools({ model, maxRetries: 0 });

async function reasoning() {
  const thoughts = [];
  // On `/v1/messages` thinking is shown to who asks for it.
  const thinking = { anthropic: { thinking: { type: 'enabled', budgetTokens: 2000 } } };
  const settings = { ...common, providerOptions: { ...providerOptions, ...thinking } };
  const result = streamText({ ...settings, prompt: 'Think first.' });
  for await (const part of result.fullStream) {
    if (part.type === 'reasoning-delta' && part.text !== '') thoughts.push(part.text);
  }
  see({ thoughts, reasoning: await result.reasoningText, text: await result.text });
  const { messages } = await result.response;
  const history = [{ role: 'user', content: 'Think first.' }, ...messages, { role: 'user', content: 'And now?' }];
  const second = await generateText({ ...settings, messages: history });
  see({ text: second.text });
}

async function image() {
  const content = [
    { type: 'text', text: 'Which colour?' },
    { type: 'image', image: RED_PNG, mediaType: 'image/png' },
  ];
  const result = await generateText({ ...common, messages: [{ role: 'user', content }] });
  see({ text: result.text });
}

async function cancel() {
  const control = new AbortController();
  const result = streamText({ ...common, prompt: 'Talk on.', abortSignal: control.signal, onError: () => {} });
  for await (const piece of result.textStream) {
    see({ piece });
    control.abort();
  }
  const second = await generateText({ ...common, prompt: 'Again.' });
  see({ text: second.text });
}

await main({ text, stream, parse, tools, remembered, reasoning, image, cancel });
