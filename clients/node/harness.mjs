// What the scripts share: where the gateway is, and how they tell what they see.
//
// A script prints one JSON object a line, each an observation. The tests in `crates/cli/tests/clients_*.rs` compare them, so
// the scripts of all clients use the same words for the same things.

export const GATEWAY = process.env.POLYWIRE_URL;
export const TOKEN = process.env.POLYWIRE_TOKEN;
export const MODEL = process.env.POLYWIRE_MODEL;
/** For clients that speak several: `responses`, `chat` or `messages`. */
export const DIALECT = process.env.POLYWIRE_DIALECT;

/** A picture of four red pixels. */
export const RED_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mM4IScHRAwQCgAfJgQRSo6NIAAAAABJRU5ErkJggg==';

export const WEATHER = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};

/** The tool that the scripts offer. */
export const weather = (city) => ({ Oslo: 'snow', Rome: 'sun' })[city] ?? 'unknown';

/** Tells one observation. */
export function see(facts) {
  process.stdout.write(JSON.stringify(facts) + '\n');
}

/** Tells what the SDK made of an error: its class, and what it read from the answer. */
export function seeError(error) {
  // Anthropic's SDK keeps the whole body, OpenAI's only what is inside `error`.
  const inner = error.error?.error ?? error.error ?? {};
  see({
    error: error.constructor.name,
    status: error.status ?? null,
    code: inner.code ?? null,
    param: inner.param ?? null,
    type: inner.type ?? null,
    message: inner.message ?? null,
    retry_after: error.headers?.get('retry-after') ?? null,
  });
}

/** Runs the scenarios that the command line names; of several it tells which one begins. */
export async function main(scenarios) {
  const wanted = process.argv.slice(2);
  for (const name of wanted) {
    if (wanted.length > 1) see({ scenario: name });
    await scenarios[name]();
  }
}
